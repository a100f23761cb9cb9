//! Beside the views: what is learned and how, and how far it is.

use attention_anatomy::dataset::Hpa;
use egui::{Button, DragValue, Grid, ProgressBar, RichText, Ui};

use super::super::context::Context;
use super::record::{Learn, Record, TrainingState, hpa_name};
use crate::document::Outbox;
use crate::worker::{Command, LearnCommand};

/// Draws the tab.
pub fn show(learn: &mut Learn, ui: &mut Ui, cx: &mut Context<'_>) {
    egui::ScrollArea::vertical().id_salt("learn controls").show(ui, |ui| {
        ui.heading("Learn live");
        ui.label(
            "A toy network learns from synthetic patients, here and now. Three sets of scans, as in the paper: head and \
             neck, chest, abdomen. Each outlines its own organs only, although its scans show others too.",
        );
        ui.add_space(6.0);
        switches(ui, learn);
        ui.add_space(6.0);
        buttons(learn, ui, cx.outbox);
        progress(ui, learn);
        scores(ui, learn);
        ui.add_space(8.0);
        ui.label(
            RichText::new(
                "Coarse pictures, a tiny network, phantoms instead of patients: this shows how the method works, not how \
                 well it outlines real organs. It changes neither the weights in use nor the open study.",
            )
            .small()
            .weak(),
        );
    });
}

fn switches(ui: &mut Ui, learn: &mut Learn) {
    ui.add_enabled_ui(!learn.is_active(), |ui| {
        ui.checkbox(&mut learn.settings.attention, "Attention vector")
            .on_hover_text("A second branch says which organs a slice can show, and weighs the labels with it");
        ui.label("What was not outlined in a scan is ...");
        for (hpa, text, hint) in [
            (
                Hpa::Off,
                "background (HPA off)",
                "A liver that nobody outlined counts as not a liver: the network is taught to miss organs",
            ),
            (
                Hpa::Source,
                "unknown (HPA by source)",
                "The network is neither punished nor rewarded for an organ that this set does not outline",
            ),
            (
                Hpa::SourceRegion,
                "unknown, unless far away (by source and region)",
                "As before, but an organ that cannot occur in this part of the body is known to be absent: no liver in \
                 the head. This is what teaches the attention vector to switch organs off",
            ),
        ] {
            ui.radio_value(&mut learn.settings.hpa, hpa, text).on_hover_text(hint);
        }
        ui.horizontal(|ui| {
            let name = ui.label("Seed");
            ui.add(DragValue::new(&mut learn.settings.seed).range(0..=9999))
                .labelled_by(name.id)
                .on_hover_text("Other patients and other start weights; keep it to compare switches");
        });
    });
}

fn buttons(learn: &mut Learn, ui: &mut Ui, outbox: &mut Outbox) {
    let (active, paused) = (learn.is_active(), learn.state == TrainingState::Paused);
    let text = match learn.state {
        TrainingState::Idle => "Start",
        _ => "Start anew",
    };
    ui.horizontal(|ui| {
        if ui.add_enabled(!active, Button::new(text)).clicked() {
            let run = outbox.next_number();
            learn.start(run);
            let settings = learn.settings;
            outbox.send(Command::Learn(LearnCommand::Start { run, settings }));
        }
        let holds = matches!(learn.state, TrainingState::Running | TrainingState::Paused);
        if ui.add_enabled(holds, Button::new(if paused { "Go on" } else { "Pause" })).clicked() {
            learn.pause(!paused);
            outbox.send(Command::Learn(LearnCommand::Pause(!paused)));
        }
        if ui.add_enabled(active, Button::new("Stop")).clicked() {
            outbox.send(Command::Learn(LearnCommand::Stop));
        }
    });
}

fn progress(ui: &mut Ui, learn: &Learn) {
    let (part, text) = match (&learn.state, &learn.current) {
        (TrainingState::Idle, _) => return,
        (TrainingState::Preparing(done, of), _) => {
            (*done as f32 / (*of).max(1) as f32, format!("making patients: {done} of {of}"))
        }
        (TrainingState::Failed(reason), _) => {
            ui.colored_label(ui.visuals().error_fg_color, format!("The training broke off: {reason}"));
            return;
        }
        (_, Some(record)) => (
            record.done() as f32 / record.total().max(1) as f32,
            format!("step {} of {}: {}", record.done(), record.total(), record.phase()),
        ),
        (_, None) => return,
    };
    ui.add(ProgressBar::new(part).text(text));
    let Some(record) = &learn.current else { return };
    let mut facts = record.plan.device.clone();
    if let Some(rate) = record.steps_per_second() {
        facts += &format!(", {rate:.1} steps/s");
    }
    if let (TrainingState::Running, Some(seconds)) = (&learn.state, record.seconds_left()) {
        facts += &format!(", {} left", duration(seconds));
    }
    ui.label(facts);
    ui.label(
        RichText::new(format!(
            "{} scans, {} parameters, {} x {} pixels",
            record.plan.scans, record.plan.parameters, record.plan.size[0], record.plan.size[1]
        ))
        .small()
        .weak(),
    );
}

fn duration(seconds: f64) -> String {
    match seconds.round() as u64 {
        s @ ..100 => format!("{s} s"),
        s => format!("{} min {:02} s", s / 60, s % 60),
    }
}

/// What each setting has come to.
fn scores(ui: &mut Ui, learn: &mut Learn) {
    if learn.current.is_none() && learn.earlier.is_empty() {
        return;
    }
    ui.add_space(8.0);
    ui.strong("Unseen patients, Dice in %");
    let mut chosen = None;
    Grid::new("learn scores").striped(true).num_columns(4).show(ui, |ui| {
        for title in ["", "outlined", "contested", "region"] {
            ui.label(RichText::new(title).small());
        }
        ui.end_row();
        if let Some(record) = &learn.current {
            ui.vertical(|ui| {
                ui.strong("This run");
                switches_of(ui, record);
            });
            numbers(ui, record);
        }
        let grey = learn.grey().map(|g| g.settings);
        for record in learn.earlier.iter().rev() {
            ui.vertical(|ui| {
                let text = format!("Run with seed {}", record.settings.seed);
                let chooser = ui.selectable_label(grey == Some(record.settings), text);
                if chooser.on_hover_text("Draw its curves in grey").clicked() {
                    chosen = Some(record.settings);
                }
                switches_of(ui, record);
            });
            numbers(ui, record);
        }
    });
    if chosen.is_some() {
        learn.compared = chosen;
    }
    ui.label(
        RichText::new(
            "Outlined: organs at heights where every set that gets there outlines them. Contested: where some set shows \
             an organ and leaves it out, as chest scans do with the liver. A few per cent between two runs are chance.",
        )
        .small()
        .weak(),
    );
}

fn switches_of(ui: &mut Ui, record: &Record) {
    ui.set_min_width(140.0);
    let attention = if record.settings.attention { "attention" } else { "no attention" };
    ui.label(RichText::new(attention).small());
    ui.label(RichText::new(hpa_name(record.settings.hpa)).small());
}

fn numbers(ui: &mut Ui, record: &Record) {
    let evaluation = record.evaluations.last();
    for value in [
        evaluation.and_then(|l| l.dice_outlined),
        evaluation.and_then(|l| l.dice_contested),
        evaluation.and_then(|l| l.region_accuracy),
    ] {
        ui.label(value.map_or("-".into(), |v| format!("{:.0}", 100.0 * v)));
    }
    ui.end_row();
}
