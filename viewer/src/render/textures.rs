//! The textures of the open study, and what is uploaded into them: what has changed, what is on screen first, and never
//! more in one frame than the window can wait for.

use std::borrow::Cow;
use std::ops::Range;

use super::pipeline::Pipeline;
use super::slabs::{Capacity, Slab, TooLarge, array_layers, slabs};
use crate::display::{Overlay, View};
use crate::document::{Margins, Study};
use crate::edit::ByteLayer;

/// What the overlay texture holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OverlayContent {
    /// 255 minus the margin, so that a slice that was not uploaded yet is certain.
    Uncertainty,
    /// Labels of the reference.
    Reference,
}

/// A byte for each voxel, by axial slices with their revisions.
#[derive(Clone, Copy)]
enum Layer<'a> {
    Labels(&'a ByteLayer),
    Margins(&'a Margins),
}

impl<'a> Layer<'a> {
    /// Tells it from every other one of its kind.
    fn id(self) -> u64 {
        match self {
            Self::Labels(layer) => layer.id(),
            Self::Margins(margins) => margins.id(),
        }
    }

    fn revisions(self) -> &'a [u64] {
        match self {
            Self::Labels(layer) => layer.revisions(),
            Self::Margins(margins) => margins.revisions(),
        }
    }

    /// Slice k, as it lies in a texture.
    fn slice(self, k: usize) -> Cow<'a, [u8]> {
        match self {
            Self::Labels(layer) => layer.slice(k),
            Self::Margins(margins) => margins.slice(k).into_iter().map(|margin| u8::MAX - margin).collect(),
        }
    }

    /// Whether slice k lies as zeros in a texture, and never was anything else.
    fn is_still_zero(self, k: usize) -> bool {
        match self {
            Self::Labels(layer) => layer.is_still_zero(k),
            Self::Margins(margins) => margins.revisions().get(k) == Some(&0),
        }
    }
}

/// Which slices of a layer the textures hold, by revision.
struct Drawn {
    /// Which layer: another one in the place of this one has another number.
    layer: Option<u64>,
    revisions: Vec<Option<u64>>,
}

impl Drawn {
    fn nothing(slices: usize) -> Self {
        Self { layer: None, revisions: vec![None; slices] }
    }

    /// What new textures, which are all zero, hold of a layer.
    fn zeros_of(layer: Layer<'_>) -> Self {
        let revision = |(k, &revision)| layer.is_still_zero(k).then_some(revision);
        Self { layer: Some(layer.id()), revisions: layer.revisions().iter().enumerate().map(revision).collect() }
    }

    /// The changed slices of `layer`, the ones nearest to `first` first.
    fn changed(&mut self, layer: Layer<'_>, first: usize) -> Vec<usize> {
        let now = layer.revisions();
        if self.layer != Some(layer.id()) {
            *self = Self { layer: Some(layer.id()), ..Self::nothing(now.len()) };
        }
        let mut changed: Vec<usize> = (0..now.len()).filter(|&k| self.revisions[k] != Some(now[k])).collect();
        changed.sort_by_key(|&k| k.abs_diff(first));
        changed
    }

    fn is_up_to_date(&self, layer: Layer<'_>) -> bool {
        self.layer == Some(layer.id())
            && self.revisions.iter().zip(layer.revisions()).all(|(drawn, now)| *drawn == Some(*now))
    }
}

struct SlabTextures {
    slab: Slab,
    ct: wgpu::Texture,
    labels: wgpu::Texture,
    overlay: Option<wgpu::Texture>,
    group: wgpu::BindGroup,
}

/// The textures of one study.
pub(super) struct StudyTextures {
    /// Number of the study.
    pub study: u64,
    /// Voxels along i, j, k.
    pub size: [usize; 3],
    slabs: Vec<SlabTextures>,
    /// Slices of the CT that are there.
    ct: Range<usize>,
    labels: Drawn,
    overlay: Drawn,
    overlay_content: Option<OverlayContent>,
    other_labels: Option<wgpu::Texture>,
    /// Slices uploaded since the textures were made: what tests of "only what changed" count.
    pub slices_uploaded: usize,
}

/// Bytes of slices that are written at once: a browser takes a sixth of a millisecond for each call.
const TOGETHER: usize = 1 << 20;

const SLICES: wgpu::TextureViewDescriptor<'static> = wgpu::TextureViewDescriptor {
    label: None,
    format: None,
    dimension: Some(wgpu::TextureViewDimension::D2Array),
    usage: None,
    aspect: wgpu::TextureAspect::All,
    base_mip_level: 0,
    mip_level_count: None,
    base_array_layer: 0,
    array_layer_count: None,
};

fn texture(device: &wgpu::Device, [nx, ny, layers]: [u32; 3], format: wgpu::TextureFormat) -> wgpu::Texture {
    device.create_texture(&wgpu::TextureDescriptor {
        label: Some("slices"),
        size: wgpu::Extent3d { width: nx, height: ny, depth_or_array_layers: layers },
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format,
        usage: wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::COPY_DST,
        view_formats: &[],
    })
}

/// Writes these layers, whose bytes stand one behind the other.
fn write(queue: &wgpu::Queue, texture: &wgpu::Texture, layers: Range<usize>, bytes: &[u8]) {
    let size = texture.size();
    let rows = size.height as usize * layers.len();
    queue.write_texture(
        wgpu::TexelCopyTextureInfo {
            texture,
            mip_level: 0,
            origin: wgpu::Origin3d { x: 0, y: 0, z: layers.start as u32 },
            aspect: wgpu::TextureAspect::All,
        },
        bytes,
        wgpu::TexelCopyBufferLayout {
            offset: 0,
            bytes_per_row: Some((bytes.len() / rows.max(1)) as u32),
            rows_per_image: Some(size.height),
        },
        wgpu::Extent3d { depth_or_array_layers: layers.len() as u32, ..size },
    );
}

/// Device, queue, and the bytes that may still be uploaded in this frame.
pub(super) struct Upload<'a> {
    pub device: &'a wgpu::Device,
    pub queue: &'a wgpu::Queue,
    pub pipeline: &'a Pipeline,
    pub bytes_left: usize,
}

impl Upload<'_> {
    /// Takes the bytes of a slice, if they are left. The first upload of a frame always is, so that a slice larger than a
    /// whole frame's share still arrives.
    fn takes(&mut self, bytes: usize, is_first: bool) -> bool {
        let fits = bytes <= self.bytes_left || is_first;
        if fits {
            self.bytes_left = self.bytes_left.saturating_sub(bytes);
        }
        fits
    }
}

fn bind_group(
    upload: &Upload<'_>,
    ct: &wgpu::Texture,
    labels: &wgpu::Texture,
    overlay: Option<&wgpu::Texture>,
    other_labels: Option<&wgpu::Texture>,
) -> wgpu::BindGroup {
    let stand_in = |layers| {
        texture(upload.device, [1, 1, layers], wgpu::TextureFormat::R8Uint)
            .create_view(&(if layers > 1 { SLICES } else { Default::default() }))
    };
    let overlay = overlay.map_or_else(|| stand_in(array_layers(1)), |t| t.create_view(&SLICES));
    let other = other_labels.map_or_else(|| stand_in(1), |t| t.create_view(&Default::default()));
    let views = [ct.create_view(&SLICES), labels.create_view(&SLICES), overlay, other];
    let entries: [wgpu::BindGroupEntry<'_>; 4] = std::array::from_fn(|n| wgpu::BindGroupEntry {
        binding: n as u32,
        resource: wgpu::BindingResource::TextureView(&views[n]),
    });
    upload.device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: Some("slice textures"),
        layout: &upload.pipeline.textures_layout,
        entries: &entries,
    })
}

impl StudyTextures {
    /// Empty textures for a study.
    ///
    /// # Errors
    /// [`TooLarge`] where a slice is larger than a texture can be.
    pub fn new(upload: &Upload<'_>, study: &Study, capacity: &Capacity) -> Result<Self, TooLarge> {
        let size = study.geometry().size;
        let make = |slab: Slab| {
            let shape = [size[0] as u32, size[1] as u32, array_layers(slab.held.len())];
            let ct = texture(upload.device, shape, wgpu::TextureFormat::R16Sint);
            let labels = texture(upload.device, shape, wgpu::TextureFormat::R8Uint);
            let group = bind_group(upload, &ct, &labels, None, None);
            SlabTextures { slab, ct, labels, overlay: None, group }
        };
        Ok(Self {
            study: study.number,
            size,
            slabs: slabs(size, capacity)?.into_iter().map(make).collect(),
            ct: 0..0,
            labels: Drawn::zeros_of(Layer::Labels(study.labels.layer())),
            overlay: Drawn::nothing(size[2]),
            overlay_content: None,
            other_labels: None,
            slices_uploaded: 0,
        })
    }

    /// Slabs with their group of textures.
    pub fn slabs(&self) -> impl Iterator<Item = (&Slab, &wgpu::BindGroup)> {
        self.slabs.iter().map(|s| (&s.slab, &s.group))
    }

    /// Slices of the CT that can be drawn.
    pub fn ready(&self) -> Range<usize> {
        self.ct.clone()
    }

    /// Uploads what is missing, as far as this frame's bytes go; whether something is left for the next.
    pub fn bring_up_to_date(&mut self, upload: &mut Upload<'_>, study: &Study, view: &View) -> bool {
        let slice = view.slice().min(self.size[2] - 1);
        self.shape_overlays(upload, study, view.overlay);
        if let (Some(texture), Some(labels)) =
            (&self.other_labels, study.what_if.as_ref().and_then(|w| w.drawn_under(view.overlay)))
        {
            write(upload.queue, texture, 0..1, labels);
        }
        self.upload_ct(upload, study, slice);
        let labels = Layer::Labels(study.labels.layer());
        let mut drawn = std::mem::replace(&mut self.labels, Drawn::nothing(0));
        self.upload_layer(upload, labels, &mut drawn, slice, false);
        let mut complete = drawn.is_up_to_date(labels) && self.ct.len() == self.size[2];
        self.labels = drawn;
        if let Some(layer) = self.overlay_layer(study) {
            let mut drawn = std::mem::replace(&mut self.overlay, Drawn::nothing(0));
            self.upload_layer(upload, layer, &mut drawn, slice, true);
            complete &= drawn.is_up_to_date(layer);
            self.overlay = drawn;
        }
        !complete
    }

    fn overlay_layer<'a>(&self, study: &'a Study) -> Option<Layer<'a>> {
        match self.overlay_content? {
            OverlayContent::Uncertainty => Some(Layer::Margins(&study.margin)),
            OverlayContent::Reference => study.reference.as_ref().map(|r| Layer::Labels(&r.labels)),
        }
    }

    /// Textures of overlays exist only while they are shown.
    fn shape_overlays(&mut self, upload: &Upload<'_>, study: &Study, overlay: Overlay) {
        let content = match overlay {
            Overlay::Uncertainty => Some(OverlayContent::Uncertainty),
            Overlay::Difference if study.reference.is_some() => Some(OverlayContent::Reference),
            _ => None,
        };
        let labels = study.what_if.as_ref().and_then(|w| w.labels.as_ref());
        let wants_other = labels.is_some_and(|l| l.len() == self.size[0] * self.size[1]);
        if content == self.overlay_content && wants_other == self.other_labels.is_some() {
            return;
        }
        let [nx, ny, nz] = self.size;
        let shape = |layers| [nx as u32, ny as u32, layers];
        let format = wgpu::TextureFormat::R8Uint;
        if wants_other != self.other_labels.is_some() {
            self.other_labels = wants_other.then(|| texture(upload.device, shape(1), format));
        }
        let renewed = content != self.overlay_content;
        if renewed {
            self.overlay_content = content;
            self.overlay = self.overlay_layer(study).map_or_else(|| Drawn::nothing(nz), Drawn::zeros_of);
        }
        for slab in &mut self.slabs {
            if renewed {
                let layers = array_layers(slab.slab.held.len());
                slab.overlay = content.map(|_| texture(upload.device, shape(layers), format));
            }
            let (overlay, other) = (slab.overlay.as_ref(), self.other_labels.as_ref());
            slab.group = bind_group(upload, &slab.ct, &slab.labels, overlay, other);
        }
    }

    /// The CT grows from the slice on screen in both directions.
    fn upload_ct(&mut self, upload: &mut Upload<'_>, study: &Study, slice: usize) {
        if self.ct.is_empty() {
            self.ct = slice..slice;
        }
        let area = self.size[0] * self.size[1];
        let slice_bytes = (size_of::<i16>() * area).max(1);
        let mut is_first = true;
        while self.ct.len() < self.size[2] {
            let upwards = self.ct.end < self.size[2]
                && (self.ct.start == 0 || self.ct.end.abs_diff(slice) <= slice.abs_diff(self.ct.start));
            let count = (TOGETHER.min(upload.bytes_left) / slice_bytes).max(1);
            let block = if upwards {
                self.ct.end..(self.ct.end + count).min(self.size[2])
            } else {
                self.ct.start.saturating_sub(count)..self.ct.start
            };
            if !upload.takes(block.len() * slice_bytes, is_first) {
                return;
            }
            is_first = false;
            for s in &self.slabs {
                let held = &s.slab.held;
                let part = block.start.max(held.start)..block.end.min(held.end);
                if let Some(voxels) =
                    study.ct.voxels.get(part.start * area..part.end * area).filter(|_| !part.is_empty())
                {
                    let layers = part.start - held.start..part.end - held.start;
                    write(upload.queue, &s.ct, layers, bytemuck::cast_slice(voxels));
                }
            }
            self.slices_uploaded += block.len();
            self.ct = if upwards { self.ct.start..block.end } else { block.start..self.ct.end };
        }
    }

    fn upload_layer(
        &mut self,
        upload: &mut Upload<'_>,
        layer: Layer<'_>,
        drawn: &mut Drawn,
        slice: usize,
        is_overlay: bool,
    ) {
        let mut is_first = true;
        for k in drawn.changed(layer, slice) {
            let voxels = layer.slice(k);
            if !upload.takes(voxels.len(), is_first) {
                return;
            }
            is_first = false;
            for s in self.slabs.iter().filter(|s| s.slab.held.contains(&k)) {
                let texture = if is_overlay { s.overlay.as_ref() } else { Some(&s.labels) };
                if let Some(texture) = texture {
                    let layer = k - s.slab.held.start;
                    write(upload.queue, texture, layer..layer + 1, &voxels);
                }
            }
            self.slices_uploaded += 1;
            drawn.revisions[k] = Some(layer.revisions()[k]);
        }
    }
}
