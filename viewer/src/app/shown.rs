//! A viewer that outlives the windows that show it. Where a window loses its graphics device, eframe cannot give it another:
//! the window goes, and the next one shows the same viewer, with its scan, its run and its edits.

use std::cell::RefCell;
use std::rc::Rc;

use eframe::CreationContext;

use super::ViewerApp;
use crate::store::Rescue;

/// What a window is given, and whoever opens windows keeps.
#[derive(Clone, Debug)]
pub struct Shown {
    viewer: Rc<RefCell<ViewerApp>>,
    /// A fault in a frame leaves the viewer as it is, and borrowed; this lies beside it.
    rescue: Rc<RefCell<Option<Rescue>>>,
}

impl Shown {
    /// A viewer in its first window.
    pub fn new(viewer: ViewerApp) -> Self {
        Self { viewer: Rc::new(RefCell::new(viewer)), rescue: Rc::default() }
    }

    /// What `act` makes of the viewer; `None` in the middle of a frame, which after a fault lasts for ever.
    pub fn with<T>(&self, act: impl FnOnce(&mut ViewerApp) -> T) -> Option<T> {
        self.viewer.try_borrow_mut().ok().map(|mut viewer| act(&mut viewer))
    }

    /// Shows the viewer in another window.
    pub fn move_to(&self, cc: &CreationContext<'_>) {
        self.with(|viewer| viewer.move_to(cc));
    }

    /// Stores what must survive the program, now, also after a fault in it. Whether all of it is written.
    pub fn save(&self) -> bool {
        let after_a_fault = || self.rescue.take().is_none_or(Rescue::store);
        self.with(ViewerApp::flush).unwrap_or_else(after_a_fault)
    }

    fn frame(&mut self, draw: impl FnOnce(&mut ViewerApp)) {
        let rescue = self.rescue.clone();
        self.with(|viewer| {
            draw(viewer);
            viewer.autosave.prepare_rescue(&viewer.document, &mut rescue.borrow_mut());
        });
    }
}

impl eframe::App for Shown {
    fn logic(&mut self, ctx: &egui::Context, frame: &mut eframe::Frame) {
        self.frame(|viewer| viewer.logic(ctx, frame));
    }

    fn ui(&mut self, ui: &mut egui::Ui, frame: &mut eframe::Frame) {
        self.frame(|viewer| viewer.ui(ui, frame));
    }

    fn save(&mut self, storage: &mut dyn eframe::Storage) {
        self.with(|viewer| eframe::App::save(viewer, storage));
    }

    fn on_exit(&mut self) {
        self.with(ViewerApp::on_exit);
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        // Natively a fault unwinds the window; in the browser nothing unwinds, and the page asks for it.
        if std::thread::panicking()
            && let Some(rescue) = self.rescue.take()
        {
            rescue.store();
        }
    }
}
