//! The line at the top, as long as an archive was asked for anything: what "nothing leaves this computer" means then.

use egui::{Label, RichText, Ui};

use super::super::context::{Context, Panel};
use crate::theme;

/// The line.
#[derive(Clone, Debug, Default)]
pub struct Connected;

impl Panel for Connected {
    fn show(&mut self, ui: &mut Ui, cx: &mut Context<'_>) {
        let archives = &cx.document.archives;
        let Some(source) = archives.source().filter(|_| archives.is_connected) else { return };
        let sends = if source.writes.is_empty() { "" } else { ", and structures go there when you send them" };
        let text = match archives.sending {
            Some(sending) => format!("Sending to {}: {} of {} files", source.name, sending.done, sending.of),
            None if archives.is_busy() && cx.document.study.is_none() => format!("Asking {}\u{2026}", source.name),
            None => format!("Connected to {}. Nothing else leaves this computer.", source.name),
        };
        let hint = format!("{}: scans come from there{sends}. Everything is computed on this computer.", source.root);
        ui.horizontal(|ui| {
            let text = RichText::new(text).small().color(theme::accent_of(ui));
            ui.add(Label::new(text).truncate()).on_hover_text(hint);
        });
    }
}
