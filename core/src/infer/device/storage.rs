//! How weights and maps lie in the memory of a GPU: in 16 bits where it has `shader-f16`, gains by it and answers rightly with them.
//!
//! What is added up is 32 bits in either. Half as many bytes travel, and that is what a GPU has too little of where maps are large; a
//! software adapter has to take them apart.

use crate::kernels::wgsl::{Gpu, Stored, Tuning};

use super::DeviceError;

/// What the user asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StoragePreference {
    /// 16 bits where that pays and holds, else 32.
    #[default]
    Auto,
    /// 16 bits, also where they do not pay; 32 where there are none, or where they do not hold.
    F16,
    /// 32 bits.
    F32,
}

impl StoragePreference {
    /// What is tried first on a device with these features and of this kind, and what there is to say of it.
    pub(super) fn first(self, features: wgpu::Features, tuning: Tuning, name: &str) -> (Stored, Option<String>) {
        let has = features.contains(wgpu::Features::SHADER_F16);
        match self {
            Self::F16 if !has => (Stored::F32, Some(format!("the GPU {name} has no f16, so weights and maps are f32"))),
            Self::F16 => (Stored::F16, None),
            Self::Auto if has && tuning.halves => (Stored::F16, None),
            Self::Auto | Self::F32 => (Stored::F32, None),
        }
    }
}

/// A device of an adapter that answers rightly, as `open` gives it: where it does not with f16, it is opened once more, and that is
/// said.
///
/// # Errors
/// Those of `open` with f32.
pub(super) async fn open_storing(
    adapter: &wgpu::Adapter,
    name: &str,
    preference: StoragePreference,
    open: impl AsyncFn(Stored) -> Result<Gpu, DeviceError>,
) -> Result<(Gpu, Vec<String>), DeviceError> {
    let (first, note) = preference.first(adapter.features(), Tuning::of(&adapter.get_info()), name);
    let mut notes = Vec::from_iter(note);
    match open(first).await {
        Err(error) if first == Stored::F16 => {
            let why = error.reason();
            notes
                .push(format!("the GPU {name} computes wrongly with weights and maps in f16 ({why}), so they are f32"));
            Ok((open(Stored::F32).await?, notes))
        }
        opened => Ok((opened?, notes)),
    }
}

#[cfg(test)]
mod tests {
    use attention_anatomy_shaders::network::Kernel;

    use super::super::native::{enumerate, open_checked};
    use super::*;

    #[test]
    fn f16_is_taken_where_it_is_there_and_pays_or_is_asked_for() {
        let (with, without) = (wgpu::Features::SHADER_F16, wgpu::Features::empty());
        for (preference, features, tuning, expected) in [
            (StoragePreference::Auto, with, Tuning::DISCRETE, Stored::F16),
            (StoragePreference::Auto, with, Tuning::INTEGRATED, Stored::F16),
            (StoragePreference::Auto, with, Tuning::SOFTWARE, Stored::F32),
            (StoragePreference::Auto, without, Tuning::DISCRETE, Stored::F32),
            (StoragePreference::F16, with, Tuning::SOFTWARE, Stored::F16),
            (StoragePreference::F32, with, Tuning::DISCRETE, Stored::F32),
        ] {
            assert_eq!(preference.first(features, tuning, "x"), (expected, None), "{preference:?} {}", tuning.name);
        }
        let (stored, note) = StoragePreference::F16.first(without, Tuning::DISCRETE, "Old GPU");
        assert!(stored == Stored::F32 && note.unwrap().contains("Old GPU has no f16"));
    }

    /// What comes of asking for f16 where kernels come from `source`, and of a device that has no f16 where `without`.
    fn asked(source: fn(Kernel, Stored) -> String, without: bool) -> Option<(Gpu, Vec<String>)> {
        let adapter = enumerate().1.into_iter().next();
        let Some(adapter) = adapter.filter(|adapter| adapter.features().contains(wgpu::Features::SHADER_F16)) else {
            whole_program_tests::not_run("there is no graphics adapter with f16, not even one in software");
            return None;
        };
        let open = async |stored: Stored| match stored {
            Stored::F16 if without => open_checked(&adapter, "x", Stored::F32, |kernel, _| kernel.source(Stored::F16)),
            stored => open_checked(&adapter, "x", stored, source),
        };
        Some(pollster::block_on(open_storing(&adapter, "x", StoragePreference::F16, open)).unwrap())
    }

    #[test]
    fn f16_that_holds_is_used_and_what_is_said_names_it() {
        let Some((gpu, notes)) = asked(Kernel::source, false) else { return };
        assert_eq!((gpu.stored(), &notes[..]), (Stored::F16, &[][..]));
        let device = super::super::ComputeDevice { gpu: Some(gpu), name: "x".into(), ..super::super::cpu() };
        assert_eq!(device.in_words(), "x, f16 storage");
        assert_eq!(super::super::cpu().in_words(), super::super::cpu().name);
    }

    #[test]
    fn f16_that_answers_wrongly_or_that_a_driver_refuses_gives_way_to_f32_and_it_is_said() {
        fn broken(kernel: Kernel, stored: Stored) -> String {
            let source = kernel.source(stored);
            match stored {
                Stored::F16 => source.replace("answer[65u + local] = attention", "answer[65u + local] = 0.5"),
                Stored::F32 => source,
            }
        }
        let Some((gpu, notes)) = asked(broken, false) else { return };
        assert_eq!((gpu.stored(), notes.len()), (Stored::F32, 1));
        assert!(notes[0].contains("in f16 (off by "), "{notes:?}");
        let Some((gpu, notes)) = asked(Kernel::source, true) else { return };
        assert_eq!((gpu.stored(), notes.len()), (Stored::F32, 1));
        assert!(notes[0].contains("in f16 (the GPU x refuses"), "{notes:?}");
    }
}
