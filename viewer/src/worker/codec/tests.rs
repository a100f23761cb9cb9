//! Every message of the protocol comes out of the codec as it went in.

use attention_anatomy::anatomy::{ORGAN_COUNT, Organ, OrganSet};
use attention_anatomy::dataset::Hpa;
use attention_anatomy::formats::dicom::Repair;
use attention_anatomy::infer::SliceAnatomy;
use attention_anatomy::infer::{ComputeKind, DevicePreference};
use attention_anatomy::metrics::OrganMetrics;
use attention_anatomy::network::NetworkConfig;
use attention_anatomy::network::weights::{ModelInfo, TrainedOrgan};
use attention_anatomy::preprocess::InputConfig;
use attention_anatomy::volume::{Geometry, Modality, Volume};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::*;
use crate::display::{Layout, View};
use crate::edit::{
    ByteLayer, ByteSlices, Change, Extra, LabelSnapshot, Operand, Operation, OrganEdit, OrganTool, PackedSlice,
    PaintOver, SideMargins, StructureEdit, Target,
};
use crate::session::{CtKey, EditsRecord, SessionHead, SessionModel, SessionView};
use crate::worker::{
    Ask, Command, DeviceInfo, DoubtfulOrgan, Event, Export, Identifiers, Input, LearnAnswer, LearnCommand,
    LearnEvaluation, LearnEvent, LearnPlan, LearnSettings, LearnSlice, LearnUpdate, OpenAnswer, OpenAs, OpenQuestion,
    Opened, PackedMargin, RunRequest, SeriesEntry, StructureExport, StructureFormat, WeightsInfo,
};

fn received(buffer: &Buffer) -> Received {
    match buffer.voxels() {
        Some(voxels) => Received::Voxels(voxels.to_vec()),
        None => Received::Bytes(buffer.bytes().to_vec()),
    }
}

fn bytes(bytes: Vec<u8>) -> Vec<Received> {
    vec![Received::Bytes(bytes)]
}

fn slices() -> ByteSlices {
    ByteSlices::cut(&[1, 2, 3, 4, 5, 6], 2)
}

fn through<T: Serialize + DeserializeOwned>(message: &T) -> T {
    let encoded = encode(message).unwrap();
    decode(&encoded.text, encoded.buffers.iter().map(received).collect()).unwrap()
}

fn vector() -> [f32; ORGAN_COUNT] {
    std::array::from_fn(|n| (n as f32 + 0.1) / 33.0)
}

#[test]
fn every_command_survives() {
    let labels = slices();
    let snapshot = LabelSnapshot {
        labels: slices(),
        under: vec![None, Some(vec![255, 7].into()), None],
        extras: vec![Arc::new(extra())],
    };
    let key = CtKey { sha256: "ab".into(), size: [2, 1, 3] };
    let enabled: OrganSet = [Organ::Liver, Organ::Heart].into_iter().collect();
    let settings = LearnSettings { attention: true, hpa: Hpa::Source, seed: u64::MAX };
    let learn = LearnCommand::Start { run: 5, settings };
    let mut commands = vec![
        Command::Open {
            job: 7,
            inputs: vec![
                Input::Bytes { name: "a \"b\".nii".into(), bytes: vec![0, 255, 7].into() },
                Input::Sample,
                Input::Path("some/where".into()),
                Input::Bytes { name: String::new(), bytes: Vec::new().into() },
            ],
            as_what: OpenAs::Reference,
            even_if_large: true,
        },
        Command::AnswerOpen { job: 7, answer: OpenAnswer::Structures(Some(2)) },
        Command::CancelOpen,
        Command::AssumeHu,
        Command::Close,
        Command::UseBundledWeights,
        Command::Run(RunRequest { run: 3, first: 11, enabled, cleanup: false }),
        Command::Focus { slice: 5 },
        Command::Pause(true),
        Command::CancelRun,
        Command::Ask(Ask { number: 9, slice: 4, attention: vector(), enabled: OrganSet::ALL }),
        Command::Compare { number: 1, labels: labels.clone(), reference: ByteLayer::new([5, 6, 7]).share() },
        Command::Edit {
            number: 4,
            edit: OrganEdit {
                tool: OrganTool::Smooth(1500),
                organ: Organ::Liver,
                three_d: true,
                over: PaintOver::Everything,
            },
            labels: snapshot.clone(),
        },
        Command::Combine {
            number: 5,
            edit: StructureEdit {
                of: Operand::Extra(4),
                operation: Operation::Grow(SideMargins { lower: [1.5, 0.0, 2.0], higher: [3.0; 3] }),
                into: Target::New("PTV".into()),
                over: PaintOver::Background,
            },
            labels: snapshot.clone(),
        },
        Command::PackEdits { number: 2, ct: key.clone(), saved: 9, labels: snapshot.clone() },
        Command::UnpackEdits { study: 3, record: Box::new(EditsRecord::of(&snapshot, key.clone(), 9)) },
        Command::SaveSession { head: Box::new(head()), labels: snapshot },
        Command::Learn(learn),
        Command::Learn(LearnCommand::Pause(false)),
        Command::Learn(LearnCommand::Stop),
    ];
    for preference in [DevicePreference::Auto, DevicePreference::Gpu, DevicePreference::Cpu] {
        commands.push(Command::UseDevice(preference));
    }
    for what in [
        Export::Structures(Box::new(StructureExport {
            format: StructureFormat::Segmentation,
            organs: enabled,
            edited: [Organ::Heart].into_iter().collect(),
            extras: vec![extra()],
            beneath: Some(slices()),
            smooth: true,
            body: true,
            deidentify: Some(Identifiers::Kept),
            label: "l".into(),
            file_name: "f".into(),
        })),
        Export::Structures(Box::default()),
        Export::StatisticsCsv,
        Export::AttentionCsv,
        Export::AttentionJson,
        Export::ReportHtml,
    ] {
        commands.push(Command::Export {
            what,
            labels: labels.clone(),
            notes: vec!["edited".into()],
            opened_from: Some("o".into()),
        });
    }
    for command in commands {
        assert_eq!(through(&command), command);
    }
}

fn extra() -> Extra {
    Extra {
        number: 4,
        name: "GTV \"1\"".into(),
        colour: [1, 2, 3],
        interpreted_type: "GTV".into(),
        edited: true,
        runs: vec![[0, 4], [7, u32::MAX]],
    }
}

fn head() -> SessionHead {
    SessionHead {
        ct: CtKey { sha256: "ab".into(), size: [2, 1, 3] },
        model: Some(SessionModel { name: "w".into(), sha256: "cd".into() }),
        drawn: OrganSet::ALL,
        run_finished: true,
        view: SessionView::of(&View::default(), Layout::ThreeUp),
        anatomy: Vec::new(),
    }
}

#[test]
fn every_event_survives() {
    let info = ModelInfo {
        format: 1,
        name: "test".into(),
        network: NetworkConfig { base: 4, levels: 3, stack: 5, attention: true },
        input: InputConfig::light(),
        trained_organs: vec![TrainedOrgan {
            organ: Organ::Liver,
            patients: 3,
            source: vec!["a".into()],
            validation_dice: Some(0.75),
            validation_patients: 2,
            enabled: true,
        }],
        data: Vec::new(),
        held_out: Vec::new(),
        gauge: None,
        steps: 9,
        note: "n".into(),
    };
    let weights = WeightsInfo { name: "w".into(), sha256: "00ff".into(), info };
    let geometry = Geometry::axial([3, 2, 2], [1.5, 1.25, 3.0], [-1.0, 0.5, 7.0]).unwrap();
    let mut ct =
        Volume::from_stored(geometry, (-6..6).map(|v| v * 300).collect(), Modality::Other("MR".into())).unwrap();
    ct.warnings.push("odd".into());
    let ct = Arc::new(ct);
    let anatomy =
        SliceAnatomy { slice: 3, position_mm: -12.5, regions: [0.1, 0.2, 0.3, 0.4, 0.0], attention: Some(vector()) };
    let metrics = OrganMetrics {
        dice: 0.5,
        hausdorff_95_mm: f64::INFINITY,
        surface_dice: 0.25,
        mean_surface_distance_mm: 1.5,
        added_path_mm: 40.0,
        missed: true,
        truth_ml: 3.0,
        prediction_ml: 0.0,
    };
    let mut removed = [0; ORGAN_COUNT];
    removed[32] = u32::MAX;
    let opened = |what| Event::Opened { job: 5, what };
    let (labels, margin) = (PackedSlice::of(&[0, 33]), PackedMargin::of(&[255, 1]));
    let slice =
        |removed| Event::SliceDone { run: 2, slice: 1, labels: labels.clone(), margin: margin.clone(), removed };
    let mut events = vec![
        Event::Device(DeviceInfo { name: "d".into(), kind: ComputeKind::SoftwareGpu, notes: vec!["n".into()] }),
        Event::DeviceFailed("no".into()),
        Event::Weights(weights.clone()),
        Event::OpenProgress { job: 5, step: "Reading".into(), part: Some(0.5) },
        Event::OpenProgress { job: 5, step: "Unpacking".into(), part: None },
        Event::OpenLarge { job: 5, bytes: 1 << 40 },
        Event::OpenAsks { job: 5, question: OpenQuestion::Structures(vec!["s".into()]) },
        Event::OpenAsks {
            job: 5,
            question: OpenQuestion::Series(vec![SeriesEntry {
                description: "d".into(),
                modality: "CT".into(),
                number: Some(3),
                size: [4, 5, 6],
                spacing: Some([1.0, 2.0, 3.0]),
                kernel: "B30f".into(),
                problem: Some("p".into()),
                repairable: true,
                best: Some("b".into()),
                picture_size: [1, 2],
                picture: vec![7, 8],
            }]),
        },
        Event::OpenAsks { job: 5, question: OpenQuestion::Repair { problem: "p".into(), repair: Repair::CorrectTilt } },
        Event::OpenAsks {
            job: 5,
            question: OpenQuestion::Names {
                name: "n".into(),
                organs: vec![DoubtfulOrgan {
                    label: 3,
                    organ: "o".into(),
                    volume_ml: 1.5,
                    median_hu: -4.0,
                    doubts: vec!["d".into()],
                }],
            },
        },
        Event::NotHu { run: 2, message: "m".into() },
        opened(Opened::Ct {
            name: "c".into(),
            ct: ct.clone(),
            key: head().ct,
            about: Some(Box::default()),
            labels_follow: true,
        }),
        opened(Opened::Labels {
            name: "l".into(),
            labels: Some(slices()),
            edits: None,
            extras: vec![extra()],
            reference: true,
            warnings: vec!["w".into()],
        }),
        opened(Opened::Labels {
            name: "l".into(),
            labels: None,
            edits: Some(slices()),
            extras: Vec::new(),
            reference: false,
            warnings: Vec::new(),
        }),
        opened(Opened::Session {
            head: Box::new(head()),
            network: slices(),
            edits: ByteLayer::filled([2, 3, 4], 255).share(),
            edited_voxels: 0,
            extras: vec![extra(), extra()],
        }),
        opened(Opened::Weights(weights)),
        Event::OpenFailed { job: 5, message: "bad".into() },
        slice(Some(removed)),
        slice(None),
        Event::Anatomy { run: 2, anatomy: anatomy.clone() },
        Event::Anatomy { run: 2, anatomy: SliceAnatomy { attention: None, ..anatomy } },
        Event::Progress { run: 2, done: 1, total: 9 },
        Event::SliceCleaned { run: 2, slice: 8, labels: PackedSlice::of(&[4]) },
        Event::RunFinished { run: 2, removed: 77 },
        Event::RunCancelled { run: 2 },
        Event::RunFailed { run: 2, message: "m".into(), device_lost: true },
        Event::Answer { number: 3, slice: 4, labels: vec![5, 6] },
        Event::Compared { number: 3, metrics: vec![None, Some(metrics)] },
        Event::Exported { name: "labels.nrrd".into(), bytes: vec![0; 3] },
        Event::Failed("f".into()),
        Event::Edited {
            number: 4,
            changes: vec![Change { slice: 1, start: u32::MAX, len: 3, before: 255, after: 7 }; 2],
        },
        Event::Made { number: 4, extra: vec![extra()] },
        Event::EditFailed { number: 4, message: "m".into() },
        Event::EditsPacked { number: 2, text: "t".into() },
        Event::EditsUnpacked { study: 3, edits: slices(), edited_voxels: 6, extras: vec![extra()] },
    ];
    let news = [
        LearnUpdate::Preparing { done: 1, of: 2 },
        LearnUpdate::Started(LearnPlan {
            device: "d".into(),
            phases: vec![("p".into(), 3)],
            scans: 4,
            parameters: 5,
            size: [2, 1],
            slices: vec![LearnSlice { title: "t".into(), image: vec![1, 2], truth: vec![3, 4], regions: [0.2; 5] }],
        }),
        LearnUpdate::Step { step: 1, losses: [Some(0.5), None, None] },
        LearnUpdate::Evaluation(LearnEvaluation {
            step: 1,
            dice_outlined: Some(0.25),
            dice_contested: None,
            region_accuracy: Some(0.5),
            answers: vec![
                LearnAnswer {
                    labels: vec![5, 6],
                    regions: Some([0.2; 5]),
                    attention: Some(vector()),
                    dice: Some(0.25),
                },
                LearnAnswer { labels: vec![7, 8], regions: None, attention: None, dice: None },
            ],
        }),
        LearnUpdate::Finished,
        LearnUpdate::Failed("x".into()),
    ];
    events.extend(news.map(|update| Event::Learn(LearnEvent { run: 9, update })));
    for event in events {
        assert_eq!(format!("{:?}", through(&event)), format!("{event:?}"));
    }
}

#[test]
fn large_data_never_become_text_and_shared_ones_travel_once_and_packed() {
    let mut layer = ByteLayer::new([100, 100, 10]);
    layer.slice_mut(4).fill(7);
    let labels = layer.share();
    let command = Command::Compare { number: 1, labels: labels.clone(), reference: labels.clone() };
    let encoded = encode(&command).unwrap();
    assert!(encoded.text.len() < 200, "{}", encoded.text);
    // Slices 0 to 3, 4, and 5 to 9, of both.
    let wires: Vec<Vec<u8>> = [0, 4, 5, 0, 4, 5].map(|k| labels.slices()[k].to_wire()).into();
    assert_eq!(encoded.buffers.iter().map(|buffer| buffer.bytes().to_vec()).collect::<Vec<_>>(), wires);
    assert!(wires.iter().all(|wire| wire.len() < 20), "a run each");
    assert_eq!(through(&command), command);
}

#[test]
fn a_damaged_parcel_is_an_error() {
    let encoded = encode(&Event::Exported { name: "n".into(), bytes: vec![1, 2] }).unwrap();
    assert!(decode::<Event>(&encoded.text, Vec::new()).is_err());
    assert!(decode::<Event>(&encoded.text[1..], bytes(vec![1, 2])).is_err());
    assert!(decode::<Command>(&encoded.text, bytes(vec![1, 2])).is_err());
    // What was left behind is not found by the next message.
    assert!(decode::<Event>(&encoded.text, Vec::new()).is_err());
    let geometry = Geometry::axial([2, 2, 2], [1.0; 3], [0.0; 3]).unwrap();
    let ct = Arc::new(Volume::from_stored(geometry, vec![0i16; 8], Modality::Ct).unwrap());
    let encoded = encode(&Event::Opened {
        job: 1,
        what: Opened::Ct { name: "c".into(), ct, key: head().ct, about: None, labels_follow: false },
    })
    .unwrap();
    assert!(decode::<Event>(&encoded.text, vec![Received::Voxels(vec![0; 7])]).is_err());
    assert!(decode::<Event>(&encoded.text, bytes(vec![0; 16])).is_err());
    assert!(decode::<Event>(&encoded.text, vec![Received::Voxels(vec![0; 8])]).is_ok());
}
