//! The textures of the open study, and what is uploaded into them: what has changed, what is on screen first, and never
//! more in one frame than the window can wait for.

use std::ops::Range;

use super::pipeline::Pipeline;
use super::slabs::{Capacity, Slab, TooLarge, array_layers, slabs};
use crate::display::{Overlay, View};
use crate::document::Study;
use crate::edit::ByteLayer;

/// What the overlay texture holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OverlayContent {
    /// 255 minus the margin, so that a slice that was not uploaded yet is certain.
    Uncertainty,
    /// Labels of the reference.
    Reference,
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

    /// The changed slices of `layer`, the ones nearest to `first` first.
    fn changed(&mut self, layer: &ByteLayer, first: usize) -> Vec<usize> {
        if self.layer != Some(layer.id()) {
            *self = Self { layer: Some(layer.id()), ..Self::nothing(layer.size()[2]) };
        }
        let mut changed: Vec<usize> =
            (0..layer.size()[2]).filter(|&k| self.revisions[k] != Some(layer.revisions()[k])).collect();
        changed.sort_by_key(|&k| k.abs_diff(first));
        changed
    }

    fn is_up_to_date(&self, layer: &ByteLayer) -> bool {
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

fn write(queue: &wgpu::Queue, texture: &wgpu::Texture, layer: usize, bytes: &[u8]) {
    let size = texture.size();
    queue.write_texture(
        wgpu::TexelCopyTextureInfo {
            texture,
            mip_level: 0,
            origin: wgpu::Origin3d { x: 0, y: 0, z: layer as u32 },
            aspect: wgpu::TextureAspect::All,
        },
        bytes,
        wgpu::TexelCopyBufferLayout {
            offset: 0,
            bytes_per_row: Some((bytes.len() / size.height as usize) as u32),
            rows_per_image: Some(size.height),
        },
        wgpu::Extent3d { depth_or_array_layers: 1, ..size },
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
            labels: Drawn::nothing(size[2]),
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
            (&self.other_labels, study.what_if.as_ref().and_then(|w| w.labels.as_ref()))
        {
            write(upload.queue, texture, 0, labels);
        }
        self.upload_ct(upload, study, slice);
        let labels = study.labels.layer();
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

    fn overlay_layer<'a>(&self, study: &'a Study) -> Option<&'a ByteLayer> {
        match self.overlay_content? {
            OverlayContent::Uncertainty => Some(&study.margin),
            OverlayContent::Reference => study.reference.as_ref().map(|r| &r.labels),
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
            self.overlay = Drawn::nothing(nz);
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
        let mut is_first = true;
        while self.ct.len() < self.size[2] {
            let upwards = self.ct.end < self.size[2]
                && (self.ct.start == 0 || self.ct.end.abs_diff(slice) <= slice.abs_diff(self.ct.start));
            let k = if upwards { self.ct.end } else { self.ct.start - 1 };
            let voxels: &[u8] = bytemuck::cast_slice(study.ct.slice(k));
            if !upload.takes(voxels.len(), is_first) {
                return;
            }
            is_first = false;
            for s in self.slabs.iter().filter(|s| s.slab.held.contains(&k)) {
                write(upload.queue, &s.ct, k - s.slab.held.start, voxels);
            }
            self.slices_uploaded += 1;
            self.ct = if upwards { self.ct.start..k + 1 } else { k..self.ct.end };
        }
    }

    fn upload_layer(
        &mut self,
        upload: &mut Upload<'_>,
        layer: &ByteLayer,
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
            let inverted: Vec<u8>;
            let voxels = if is_overlay && self.overlay_content == Some(OverlayContent::Uncertainty) {
                inverted = voxels.iter().map(|margin| u8::MAX - margin).collect();
                &inverted[..]
            } else {
                voxels
            };
            for s in self.slabs.iter().filter(|s| s.slab.held.contains(&k)) {
                let texture = if is_overlay { s.overlay.as_ref() } else { Some(&s.labels) };
                if let Some(texture) = texture {
                    write(upload.queue, texture, k - s.slab.held.start, voxels);
                }
            }
            self.slices_uploaded += 1;
            drawn.revisions[k] = Some(layer.revisions()[k]);
        }
    }
}
