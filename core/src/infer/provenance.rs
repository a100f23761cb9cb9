//! How the labels of a volume came about: kept while they come, so that a run that was stopped has a record, too.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::cleanup::removal_warning;
use super::record::{RunInfo, SliceAnatomy};
use crate::anatomy::OrganSet;
use crate::network::weights::{ModelInfo, TrainedOrgan};

/// Weights as a record names them.
#[derive(Clone, Debug, PartialEq)]
pub struct WeightsUsed {
    /// Name for people.
    pub name: String,
    /// SHA-256 of the file, hexadecimal.
    pub sha256: String,
    /// What the file says of itself.
    pub info: ModelInfo,
}

/// How the labels of a volume came about.
#[derive(Clone, Debug)]
pub struct Provenance {
    /// The weights.
    pub weights: WeightsUsed,
    /// Names of the input files.
    pub inputs: Vec<String>,
    /// The devices that computed, one after the other.
    pub devices: Vec<String>,
    /// What opening them gave to say, such as that a GPU was not used because it calculates wrongly.
    pub device_notes: Vec<String>,
    /// When it began, since 1970.
    pub started: Duration,
    /// Seconds of each stage, in order.
    pub seconds: Vec<(String, f64)>,
    /// Organs that the run was allowed to label.
    pub enabled: OrganSet,
    /// Whether what lies outside the body, pieces apart from their organ, and what is none by its side, size or place, are taken away at the end.
    pub cleanup: bool,
    /// Whether values that do not look like HU were taken as HU.
    pub assume_hu: bool,
    /// Voxels that the clean-up took away.
    pub removed: usize,
    /// Volume of a voxel, ml.
    pub voxel_ml: f64,
    /// Slices done, and in all.
    pub done: [usize; 2],
    /// What the network says of each slice that it was run on, by canonical number.
    pub anatomy: BTreeMap<usize, SliceAnatomy>,
}

impl Provenance {
    /// From the most inferior slice.
    pub fn slices(&self) -> Vec<SliceAnatomy> {
        self.anatomy.values().cloned().collect()
    }

    /// The organs that the weights know, enabled where they were to be drawn.
    pub fn trained(&self) -> Vec<TrainedOrgan> {
        let organs = self.weights.info.trained_organs.iter();
        organs.map(|t| TrainedOrgan { enabled: self.enabled.contains(t.organ), ..t.clone() }).collect()
    }

    /// The device in words, or one after the other.
    pub fn device(&self) -> String {
        self.devices.join(", then ")
    }

    /// Options that change the result, where they are not what the weights ask for; whether it was cleaned up always.
    fn options(&self) -> Vec<(String, String)> {
        let mut options = vec![("clean-up".to_string(), if self.cleanup { "on" } else { "off" }.to_string())];
        let [usual, all] = [false, true].map(|all| self.weights.info.organs(all));
        if self.assume_hu {
            options.push(("assume HU".into(), "on".into()));
        }
        if self.enabled == all && all != usual {
            options.push(("all organs".into(), "on".into()));
        } else if self.enabled != usual {
            let ids: Vec<&str> = self.enabled.iter().map(|organ| organ.id()).collect();
            options.push(("organs".into(), ids.join(", ")));
        }
        options
    }

    /// As the files of a result say it. What the reader of the CT said is not repeated here.
    pub fn run_info(&self) -> RunInfo {
        let [done, total] = self.done;
        let partial = (done < total).then(|| format!("only {done} of {total} slices were segmented"));
        let removed = removal_warning(self.removed, self.voxel_ml);
        RunInfo {
            program_version: env!("CARGO_PKG_VERSION").into(),
            weights_name: self.weights.name.clone(),
            weights_sha256: self.weights.sha256.clone(),
            architecture: self.weights.info.architecture(),
            device: self.device(),
            inputs: self.inputs.clone(),
            started: humantime::format_rfc3339_seconds(SystemTime::UNIX_EPOCH + self.started).to_string(),
            seconds: self.seconds.clone(),
            warnings: partial.into_iter().chain(removed).chain(self.device_notes.iter().cloned()).collect(),
            options: self.options(),
        }
    }
}

impl RunInfo {
    /// Of labels that were opened from a file, the last one of `inputs`.
    pub fn opened(inputs: Vec<String>) -> Self {
        let weights_name = "unknown: the labels were opened from a file".to_string();
        Self { weights_name, ..Self::by_hand(inputs) }
    }

    /// Of labels that no network drew.
    pub fn by_hand(inputs: Vec<String>) -> Self {
        let none = || "none: no network was run on this scan".to_string();
        Self {
            program_version: env!("CARGO_PKG_VERSION").into(),
            weights_name: none(),
            device: none(),
            architecture: none(),
            inputs,
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::anatomy::Organ;
    use crate::network::NetworkConfig;
    use crate::network::weights::FORMAT_VERSION;
    use crate::preprocess::InputConfig;

    fn provenance() -> Provenance {
        let organ = |organ: Organ, enabled: bool| TrainedOrgan {
            organ,
            patients: 3,
            source: vec!["made up".into()],
            validation_dice: enabled.then_some(0.9),
            validation_patients: 1,
            enabled,
        };
        let info = ModelInfo {
            format: FORMAT_VERSION,
            name: "tiny".into(),
            network: NetworkConfig { base: 4, levels: 3, stack: 5, attention: true },
            input: InputConfig { crop: 64, ..InputConfig::light() },
            trained_organs: vec![organ(Organ::Liver, true), organ(Organ::Spleen, true), organ(Organ::Heart, false)],
            data: Vec::new(),
            held_out: Vec::new(),
            gauge: None,
            steps: 1,
            note: String::new(),
        };
        Provenance {
            enabled: info.organs(false),
            weights: WeightsUsed { name: "light".into(), sha256: "ab12".into(), info },
            inputs: vec!["ct.nii".into()],
            devices: vec!["a GPU".into()],
            device_notes: Vec::new(),
            started: Duration::from_secs(86_400),
            seconds: vec![("segment".into(), 2.0)],
            cleanup: true,
            assume_hu: false,
            removed: 0,
            voxel_ml: 0.5,
            done: [4, 4],
            anatomy: BTreeMap::new(),
        }
    }

    #[test]
    fn a_plain_run_has_nothing_to_warn_of_and_says_when_and_with_what() {
        let info = provenance().run_info();
        assert_eq!((info.started.as_str(), info.device.as_str()), ("1970-01-02T00:00:00Z", "a GPU"));
        assert_eq!((info.weights_name.as_str(), info.weights_sha256.as_str()), ("light", "ab12"));
        assert_eq!(info.options, [("clean-up".to_string(), "on".to_string())]);
        assert!(info.warnings.is_empty(), "{:?}", info.warnings);
    }

    #[test]
    fn what_differs_from_the_usual_is_said() {
        let mut run = provenance();
        run.enabled = run.weights.info.organs(true);
        run.devices.push("the CPU".into());
        run.device_notes.push("another GPU calculates wrongly and is not used".into());
        (run.removed, run.done, run.cleanup) = (3, [3, 4], false);
        let info = run.run_info();
        assert_eq!(info.device, "a GPU, then the CPU");
        assert_eq!(info.options[0].1, "off");
        assert_eq!(info.options[1], ("all organs".to_string(), "on".to_string()));
        assert_eq!(info.warnings.len(), 3, "{:?}", info.warnings);
        assert_eq!(info.warnings[0], "only 3 of 4 slices were segmented");
        assert!(info.warnings[1].contains("removed 1.5 ml") && info.warnings[2].contains("another GPU"));
        assert!(run.trained().iter().all(|t| t.enabled));

        run.enabled = [Organ::Heart].into_iter().collect();
        assert_eq!(run.run_info().options[1], ("organs".to_string(), "heart".to_string()));
        let enabled: Vec<bool> = run.trained().iter().map(|t| t.enabled).collect();
        assert_eq!(enabled, [false, false, true]);
    }
}
