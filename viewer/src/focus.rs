//! What has the keyboard: the main action is the first stop of the tab key, and what has the focus is in sight, wherever it
//! has been scrolled to. Panels are drawn before the views, and egui's first stop would be the first menu.

use egui::{Context, Id, Key, Ui};

/// The focus when this frame began, and the one that has been brought into sight.
#[derive(Clone, Copy, Debug, Default)]
struct Stop {
    before: Option<Id>,
    settled: Option<Id>,
}

fn stop(ctx: &Context) -> Stop {
    ctx.data(|data| data.get_temp(Id::unique("keyboard focus"))).unwrap_or_default()
}

/// Looks where the keyboard is, before a frame is drawn.
pub fn begin(ctx: &Context) {
    let last = stop(ctx);
    let now = ctx.memory(|memory| memory.focused());
    let settled = if now == last.before { now } else { last.settled };
    ctx.data_mut(|data| data.insert_temp(Id::unique("keyboard focus"), Stop { before: now, settled }));
}

/// Makes this the first stop of the tab key.
pub fn first_stop(ui: &Ui, id: Id) {
    let is_asked = ui.input(|i| i.key_pressed(Key::Tab) && !i.modifiers.shift);
    if is_asked && stop(ui.ctx()).before.is_none() {
        ui.memory_mut(|memory| memory.request_focus(id));
    }
}

/// Scrolls to what has just got the focus, if it lies in `ui`: the last call within a scroll area.
pub fn keep_in_sight(ui: &Ui) {
    let Some(id) = ui.memory(|memory| memory.focused()).filter(|id| stop(ui.ctx()).settled != Some(*id)) else {
        return;
    };
    let Some(focused) = ui.ctx().read_response(id).filter(|response| response.layer_id == ui.layer_id()) else {
        return;
    };
    if ui.min_rect().intersects(focused.rect) && !ui.clip_rect().contains_rect(focused.rect) {
        ui.scroll_to_rect(focused.rect.expand(8.0), None);
        ui.ctx().request_repaint();
    }
}
