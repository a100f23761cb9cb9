//! From an opened CT to labels: what `segment`, `demo`, `evaluate` and `bench` share.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use anyhow::{Result, bail};
use attention_anatomy::anatomy::OrganSet;
use attention_anatomy::infer::SliceAnatomy;
use attention_anatomy::infer::{
    BurnEngine, ComputeDevice, ComputeKind, Engine, Message, RunOptions, VolumeRun, Wait, remove_stray_components,
};
use attention_anatomy::network::weights::ModelInfo;
use attention_anatomy::network::{AttentionAnatomy, weights};
use attention_anatomy::preprocess::{Body, ModelSlices};
use attention_anatomy::volume::{CtVolume, LabelVolume};

use crate::model::Model;

/// Labels of a volume and what the network said of its slices.
#[derive(Debug)]
pub struct Outcome {
    /// On the canonical grid of the CT.
    pub labels: LabelVolume,
    /// One entry a slice that was run, from the most inferior.
    pub slices: Vec<SliceAnatomy>,
    /// The body that was found in the CT.
    pub body: Arc<Body>,
    /// Voxels that the clean-up removed.
    pub removed: usize,
    /// Seconds by stage.
    pub seconds: Vec<(String, f64)>,
}

/// An engine for the weights on a device.
pub fn engine(model: &Model, device: &ComputeDevice, drawn: OrganSet) -> Result<BurnEngine> {
    let (network, _) = weights::read(&model.bytes, &device.burn)?;
    Ok(engine_for(network, model, device, drawn))
}

/// The same with attention off.
pub fn engine_without_attention(model: &Model, device: &ComputeDevice, drawn: OrganSet) -> Result<BurnEngine> {
    let (network, _) = weights::read(&model.bytes, &device.burn)?;
    Ok(engine_for(network.without_attention(), model, device, drawn))
}

fn engine_for(network: AttentionAnatomy, model: &Model, device: &ComputeDevice, drawn: OrganSet) -> BurnEngine {
    let gpu = device.kind != ComputeKind::Cpu;
    BurnEngine::new(network, model.info.input.clone(), drawn, device.burn.clone(), device.name.clone(), gpu)
}

/// Segments a whole volume. `progress(done, total)` is called as slices finish.
pub fn segment(
    ct: &Arc<CtVolume>,
    info: &ModelInfo,
    engine: &mut dyn Engine,
    cleanup: bool,
    cancel: &Arc<AtomicBool>,
    mut progress: impl FnMut(usize, usize),
) -> Result<Outcome> {
    let started = Instant::now();
    let slices = ModelSlices::new(ct.clone(), &info.input)?;
    let mut run = VolumeRun::new(slices, &RunOptions { cancel: cancel.clone(), ..RunOptions::default() });
    let mut seconds = vec![("prepare".to_string(), started.elapsed().as_secs_f64())];
    let started = Instant::now();
    let [nx, ny, _] = ct.geometry.size;
    let mut labels = vec![0u8; ct.geometry.voxel_count()];
    let mut anatomy = Vec::new();
    while !run.is_over() {
        for message in run.advance(engine, Wait::Yes) {
            match message {
                Message::SliceDone { slice, labels: map, .. } => {
                    labels[slice * nx * ny..(slice + 1) * nx * ny].copy_from_slice(&map);
                }
                Message::Anatomy(slice) => anatomy.push(slice),
                Message::Progress { done, total } => progress(done, total),
                Message::Finished => {}
                Message::Cancelled => bail!("cancelled"),
                Message::Failed(error) => return Err(error.into()),
            }
        }
    }
    anatomy.sort_by_key(|s| s.slice);
    seconds.push(("segment".to_string(), started.elapsed().as_secs_f64()));
    let mut removed = 0;
    if cleanup {
        let started = Instant::now();
        removed = remove_stray_components(&mut labels, ct.geometry.size, ct.geometry.spacing()).iter().sum();
        seconds.push(("clean up".to_string(), started.elapsed().as_secs_f64()));
    }
    let body = run.slices().body().clone();
    Ok(Outcome { labels: ct.with_voxels(labels), slices: anatomy, body, removed, seconds })
}
