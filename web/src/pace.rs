//! Tells the page when the viewer wants to be drawn, so that no frame is asked for while nothing moves (`page/pace.js`).

use std::cell::RefCell;

use eframe::egui;

use crate::page::Options;

thread_local! {
    /// Whom to tell. It cannot be part of the closure, which egui could take to another thread.
    static PAGE: RefCell<Option<Options>> = const { RefCell::new(None) };
}

/// From now on the page hears of every wish to be drawn.
pub fn tell(page: &Options, ctx: &egui::Context) {
    PAGE.set(Some(page.clone()));
    ctx.set_repaint_observer(|wish| {
        PAGE.with_borrow(|page| {
            if let Some(page) = page {
                page.repaint(wish.delay.as_secs_f64() * 1e3);
            }
        });
    });
}
