//! What the shader is told: `Slice` and `Palette` of `shaders/slice.wgsl`, byte for byte.

use attention_anatomy::anatomy::{ORGAN_COUNT, Organ};
use bytemuck::{Pod, Zeroable};

use super::{ANOTHER, ONLY_HERE, ONLY_THERE};
use crate::display::View;

/// `Slice`: where the pixels of a view lie in the volume.
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub(super) struct SliceUniform {
    pub origin: [f32; 4],
    pub right: [f32; 4],
    pub down: [f32; 4],
    pub across: [i32; 4],
    pub along: [i32; 4],
    pub size: [i32; 4],
    pub slab: [i32; 4],
    pub options: [i32; 4],
    pub viewport: [f32; 4],
    pub window: [f32; 4],
}

/// Flags in `Slice::size.w`.
pub(super) mod flag {
    pub const INTERPOLATE: i32 = 1;
    pub const SMOOTH_LABELS: i32 = 2;
    pub const INVERTED: i32 = 4;
    pub const LINEAR_TARGET: i32 = 8;
    pub const OTHER_LABELS_REPLACE: i32 = 16;
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
#[repr(C)]
struct Entry {
    colour: [f32; 4],
    style: [f32; 4],
}

/// `Palette`: how labels and overlays are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Palette {
    entries: [Entry; ORGAN_COUNT + 1],
    only_here: [f32; 4],
    only_there: [f32; 4],
    another: [f32; 4],
    unsure: [f32; 4],
    very_unsure: [f32; 4],
}

/// Width of an outline, and of that of the selected organ, in points.
const OUTLINE: f32 = 1.5;
const SELECTED_OUTLINE: f32 = 2.5;

fn rgba([r, g, b]: [u8; 3], alpha: f32) -> [f32; 4] {
    [f32::from(r) / 255.0, f32::from(g) / 255.0, f32::from(b) / 255.0, alpha]
}

impl Palette {
    /// As the view has it now.
    pub fn of(view: &View) -> Self {
        let mut entries = [Entry::default(); ORGAN_COUNT + 1];
        for organ in Organ::ALL.into_iter().filter(|&o| view.shows(o)) {
            let style = view.styles[organ.index()];
            let fill = if style.fill { style.opacity * view.opacity } else { 0.0 };
            let width = if view.selected == Some(organ) { SELECTED_OUTLINE } else { OUTLINE };
            entries[usize::from(organ.label())] = Entry {
                colour: rgba(style.colour, fill.clamp(0.0, 1.0)),
                style: [if style.outline { width } else { 0.0 }, 1.0, 0.0, 0.0],
            };
        }
        Self {
            entries,
            only_here: rgba(ONLY_HERE, 0.75),
            only_there: rgba(ONLY_THERE, 0.75),
            another: rgba(ANOTHER, 0.75),
            unsure: rgba([255, 120, 0], 0.35),
            very_unsure: rgba([255, 240, 120], 0.9),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shader_and_the_program_agree_on_sizes() {
        assert_eq!(size_of::<SliceUniform>(), attention_anatomy_shaders::SLICE_VIEW_BYTES);
        assert_eq!(size_of::<Palette>(), attention_anatomy_shaders::SLICE_PALETTE_BYTES);
    }

    #[test]
    fn what_is_hidden_is_not_in_the_palette() {
        let mut view = View { solo: Some(Organ::Liver), selected: Some(Organ::Liver), ..View::default() };
        let drawn = |view: &View| {
            let palette = Palette::of(view);
            (0..=ORGAN_COUNT).filter(|&n| palette.entries[n].style[1] > 0.5).collect::<Vec<_>>()
        };
        assert_eq!(drawn(&view), [usize::from(Organ::Liver.label())]);
        assert_eq!(Palette::of(&view).entries[usize::from(Organ::Liver.label())].style[0], SELECTED_OUTLINE);
        view.solo = None;
        assert_eq!(drawn(&view).len(), ORGAN_COUNT);
        view.labels = false;
        assert!(drawn(&view).is_empty());
    }
}
