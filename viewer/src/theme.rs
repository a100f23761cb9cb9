//! How the window looks: calm greys around pictures that must be the brightest thing on screen, one accent colour, text
//! that stays legible at arm's length, targets that a finger can hit.

use egui::{Color32, CornerRadius, FontFamily, FontId, Margin, Shadow, Stroke, TextStyle, Theme, Visuals, vec2};

use crate::display::Preferences;

/// Room between the edge of a dialog and what is in it.
pub const DIALOG: i8 = 14;
/// Height of a row or a button that a finger must hit.
pub const TOUCH: f32 = 28.0;
/// A dialog that is less wide, on a telephone, has no room for a table.
pub const NARROW: f32 = 480.0;
/// Room on both sides of a dialog, together.
const AROUND: f32 = 60.0;
/// Room that a zoom may take: beyond it nothing fits on the screen, below it nothing can be read.
const ZOOM: std::ops::RangeInclusive<f32> = 0.6..=2.5;

/// Side of what a finger must hit on a small screen.
const FINGER: f32 = 40.0;

/// Width of what is in a dialog that would like to be so wide.
pub fn dialog_width(ui: &egui::Ui, wanted: f32) -> f32 {
    (ui.ctx().content_rect().width() - AROUND).clamp(240.0, wanted)
}

/// Lets a dialog be as high as the screen. Left alone it has the height of what it held last, in which a scrolled list makes itself small,
/// and grows by a few points a frame: its buttons run away from the mouse.
pub fn let_dialog_grow(ui: &mut egui::Ui) {
    ui.set_max_height((ui.ctx().content_rect().height() - AROUND).max(90.0));
}

/// What screen and system ask of the looks, whatever the user prefers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Fingers touch it: everything is large enough for them.
    pub touch: bool,
    /// Nothing moves by itself (`prefers-reduced-motion`).
    pub still: bool,
    /// Black, white and edges around everything that can be pressed (`forced-colors`, `prefers-contrast`).
    pub contrast: bool,
}

/// Looks that were last applied, so that a frame without a change costs nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Applied {
    dark: bool,
    zoom: f32,
    needs: Needs,
}

/// Brings the window to the look that the preferences ask for. A zoom that the user has made by keyboard (ctrl with plus or
/// minus) goes into the preferences instead.
pub fn apply(ctx: &egui::Context, preferences: &mut Preferences, needs: Needs, applied: &mut Option<Applied>) {
    if let Some(last) = applied
        && last.zoom == preferences.zoom
        && ctx.zoom_factor() != last.zoom
    {
        preferences.zoom = ctx.zoom_factor();
    }
    preferences.zoom = if preferences.zoom.is_finite() { preferences.zoom } else { 1.0 };
    preferences.zoom = preferences.zoom.clamp(*ZOOM.start(), *ZOOM.end());
    let wanted = Applied { dark: preferences.dark, zoom: preferences.zoom, needs };
    if *applied == Some(wanted) {
        return;
    }
    if applied.is_none_or(|last| last.needs != needs) {
        for theme in [Theme::Dark, Theme::Light] {
            ctx.style_mut_of(theme, |style| {
                style.visuals = visuals(theme == Theme::Dark);
                spacing(style);
                adapt(style, needs);
            });
        }
    }
    ctx.set_theme(if wanted.dark { Theme::Dark } else { Theme::Light });
    ctx.set_zoom_factor(wanted.zoom);
    *applied = Some(wanted);
}

fn spacing(style: &mut egui::Style) {
    use FontFamily::{Monospace, Proportional};
    style.text_styles = [
        (TextStyle::Small, FontId::new(11.5, Proportional)),
        (TextStyle::Body, FontId::new(13.5, Proportional)),
        (TextStyle::Button, FontId::new(13.5, Proportional)),
        (TextStyle::Heading, FontId::new(16.0, Proportional)),
        (TextStyle::Monospace, FontId::new(12.5, Monospace)),
    ]
    .into();
    let s = &mut style.spacing;
    s.item_spacing = vec2(6.0, 4.0);
    s.button_padding = vec2(8.0, 4.0);
    s.interact_size = vec2(32.0, 24.0);
    s.window_margin = Margin::same(12);
    s.menu_margin = Margin::same(6);
    s.menu_spacing = 2.0;
    s.indent = 14.0;
    s.icon_width = 16.0;
    s.icon_width_inner = 9.0;
    s.slider_width = 120.0;
    s.slider_rail_height = 4.0;
    s.combo_height = 320.0;
    s.tooltip_width = 340.0;
    style.interaction.tooltip_delay = 0.35;
    style.interaction.selectable_labels = false;
}

/// What screen and system ask for, over the usual looks.
fn adapt(style: &mut egui::Style, needs: Needs) {
    if needs.touch {
        let s = &mut style.spacing;
        s.interact_size = vec2(FINGER, FINGER);
        // The shortest word on a button is as wide as a finger, too.
        s.button_padding.x = 13.0;
        s.icon_width = 22.0;
        s.icon_width_inner = 13.0;
        s.slider_rail_height = 8.0;
        style.interaction.resize_grab_radius_side = 14.0;
    }
    style.animation_time = if needs.still { 0.0 } else { egui::Style::default().animation_time };
    if needs.still {
        style.scroll_animation = egui::style::ScrollAnimation::none();
    }
    if needs.contrast {
        let v = &mut style.visuals;
        let (ground, ink) =
            if v.dark_mode { (Color32::BLACK, Color32::WHITE) } else { (Color32::WHITE, Color32::BLACK) };
        for fill in [&mut v.panel_fill, &mut v.window_fill, &mut v.extreme_bg_color, &mut v.faint_bg_color] {
            *fill = ground;
        }
        (v.weak_text_color, v.warn_fg_color, v.error_fg_color) = (Some(ink), ink, ink);
        v.window_stroke = Stroke::new(2.0, ink);
        (v.selection.bg_fill, v.selection.stroke) = (ink, Stroke::new(1.0, ground));
        let w = &mut v.widgets;
        for (state, width) in
            [(&mut w.noninteractive, 1.0), (&mut w.inactive, 1.0), (&mut w.hovered, 2.0), (&mut w.active, 3.0)]
        {
            (state.bg_fill, state.weak_bg_fill) = (ground, ground);
            (state.bg_stroke, state.fg_stroke) = (Stroke::new(width, ink), Stroke::new(1.5, ink));
        }
        w.open = w.hovered;
    }
}

/// Height and width of what is pressed: at least what a finger hits, on a small screen.
pub fn target(ui: &egui::Ui) -> f32 {
    ui.spacing().interact_size.y.max(TOUCH)
}

/// Colours of one of the two looks.
fn visuals(dark: bool) -> Visuals {
    let grey = Color32::from_gray;
    let mut v = if dark { Visuals::dark() } else { Visuals::light() };
    let accent = accent(dark);
    let (panel, edge, text, strong) = if dark {
        (Color32::from_rgb(24, 27, 31), Color32::from_rgb(46, 51, 58), grey(196), grey(240))
    } else {
        (Color32::from_rgb(246, 247, 249), Color32::from_rgb(206, 211, 218), grey(52), grey(12))
    };
    v.panel_fill = panel;
    v.window_fill = if dark { Color32::from_rgb(31, 35, 40) } else { grey(255) };
    v.window_stroke = Stroke::new(1.0, edge);
    v.extreme_bg_color = if dark { Color32::from_rgb(15, 17, 20) } else { grey(255) };
    v.faint_bg_color = if dark { Color32::from_rgb(30, 34, 39) } else { Color32::from_rgb(237, 240, 244) };
    v.weak_text_color = Some(if dark { Color32::from_rgb(142, 150, 160) } else { Color32::from_rgb(92, 100, 110) });
    v.warn_fg_color = if dark { Color32::from_rgb(240, 180, 84) } else { Color32::from_rgb(148, 88, 0) };
    v.error_fg_color = if dark { Color32::from_rgb(255, 128, 118) } else { Color32::from_rgb(178, 28, 28) };
    v.hyperlink_color = accent;
    v.selection.bg_fill = if dark { Color32::from_rgb(24, 74, 98) } else { Color32::from_rgb(196, 226, 240) };
    v.selection.stroke = Stroke::new(1.0, if dark { grey(245) } else { Color32::from_rgb(0, 58, 82) });
    v.window_corner_radius = CornerRadius::same(8);
    v.menu_corner_radius = CornerRadius::same(6);
    v.window_shadow = Shadow { offset: [0, 6], blur: 18, spread: 0, color: Color32::from_black_alpha(110) };
    v.popup_shadow = Shadow { offset: [0, 4], blur: 12, spread: 0, color: Color32::from_black_alpha(90) };
    v.slider_trailing_fill = true;
    v.striped = false;
    v.indent_has_left_vline = false;

    let w = &mut v.widgets;
    w.noninteractive.bg_fill = panel;
    w.noninteractive.weak_bg_fill = panel;
    w.noninteractive.bg_stroke = Stroke::new(1.0, edge);
    w.noninteractive.fg_stroke = Stroke::new(1.0, text);
    let (rest, over, down) = if dark {
        (Color32::from_rgb(42, 47, 54), Color32::from_rgb(55, 62, 71), Color32::from_rgb(34, 92, 118))
    } else {
        (Color32::from_rgb(229, 233, 238), Color32::from_rgb(216, 222, 229), Color32::from_rgb(160, 206, 226))
    };
    for (state, fill, ink) in
        [(&mut w.inactive, rest, text), (&mut w.hovered, over, strong), (&mut w.active, down, strong)]
    {
        (state.bg_fill, state.weak_bg_fill) = (fill, fill);
        state.bg_stroke = Stroke::NONE;
        state.fg_stroke = Stroke::new(1.2, ink);
        state.corner_radius = CornerRadius::same(5);
        state.expansion = 0.0;
    }
    w.hovered.bg_stroke = Stroke::new(1.0, accent.gamma_multiply(0.6));
    w.active.bg_stroke = Stroke::new(1.5, accent);
    w.open = w.hovered;
    v
}

/// The one colour that is no organ's: what is chosen, where one is, what can be dragged.
pub fn accent(dark: bool) -> Color32 {
    if dark { Color32::from_rgb(86, 190, 232) } else { Color32::from_rgb(0, 104, 148) }
}

/// The accent of the look of `ui`.
pub fn accent_of(ui: &egui::Ui) -> Color32 {
    accent(ui.visuals().dark_mode)
}

/// A colour of the anatomy table.
pub fn colour([r, g, b]: [u8; 3]) -> Color32 {
    Color32::from_rgb(r, g, b)
}

/// Black or white, whichever can be read on `ground`.
pub fn ink_on([r, g, b]: [u8; 3]) -> Color32 {
    let light = 0.299 * f32::from(r) + 0.587 * f32::from(g) + 0.114 * f32::from(b);
    if light > 125.0 { Color32::from_gray(20) } else { Color32::from_gray(245) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance and contrast, WCAG 2.
    fn contrast(a: Color32, b: Color32) -> f32 {
        let y = |c: Color32| {
            let linear = |v: u8| {
                let v = f32::from(v) / 255.0;
                if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
            };
            0.2126 * linear(c.r()) + 0.7152 * linear(c.g()) + 0.0722 * linear(c.b())
        };
        let (a, b) = (y(a) + 0.05, y(b) + 0.05);
        a.max(b) / a.min(b)
    }

    #[test]
    fn text_of_both_looks_reaches_the_contrast_that_wcag_asks_for() {
        for dark in [true, false] {
            let v = visuals(dark);
            for ground in [v.panel_fill, v.window_fill, v.faint_bg_color] {
                for ink in [v.text_color(), v.weak_text_color(), v.warn_fg_color, v.error_fg_color, accent(dark)] {
                    assert!(contrast(ink, ground) >= 4.5, "{ink:?} on {ground:?}: {}", contrast(ink, ground));
                }
            }
            assert!(contrast(v.selection.stroke.color, v.selection.bg_fill) >= 4.5);
            assert!(contrast(v.widgets.inactive.fg_stroke.color, v.widgets.inactive.weak_bg_fill) >= 4.5);
        }
    }

    #[test]
    fn zoom_by_keyboard_goes_into_the_preferences_and_nonsense_is_kept_out() {
        let ctx = egui::Context::default();
        let mut preferences = Preferences { zoom: f32::NAN, dark: false, ..Default::default() };
        let mut applied = None;
        let frame = |preferences: &mut Preferences, applied: &mut Option<Applied>| {
            ctx.run_ui(Default::default(), |ui| apply(ui.ctx(), preferences, Needs::default(), applied))
                .drop_without_applying_deltas();
        };
        for _ in 0..2 {
            frame(&mut preferences, &mut applied);
        }
        assert_eq!((preferences.zoom, ctx.theme()), (1.0, Theme::Light));
        ctx.set_zoom_factor(1.5);
        for _ in 0..3 {
            frame(&mut preferences, &mut applied);
        }
        assert_eq!(preferences.zoom, 1.5);
        preferences.zoom = 9.0;
        for _ in 0..3 {
            frame(&mut preferences, &mut applied);
        }
        assert_eq!((preferences.zoom, ctx.zoom_factor()), (2.5, 2.5));
    }
}
