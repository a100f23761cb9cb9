//! `tests/data/interchange` holds weights that PyTorch made, and what onnxruntime answered on the file that this program
//! made of them; the script beside them made both.

use super::*;
use crate::network::weights::sha256;
use crate::network::{NetworkConfig, attention::modulate};
use crate::preprocess::InputConfig;
use burn::tensor::{Device, Tensor, TensorData, activation::softmax};

fn file(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/../tests/data/interchange/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn numbers(file: &SafeTensors<'_>, name: &str) -> (Vec<usize>, Vec<f32>) {
    let tensor = file.tensor(name).unwrap();
    let values = tensor.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
    (tensor.shape().to_vec(), values)
}

#[test]
fn this_network_answers_as_onnxruntime_does_on_the_exported_file() {
    let device = Device::flex();
    let (network, info) = pytorch::read(&file("network.safetensors"), None, &device).unwrap();
    let expected = file("expected.safetensors");
    let (_, header) = SafeTensors::read_metadata(&expected).unwrap();
    let ran = &header.metadata().as_ref().unwrap()["onnx_sha256"];
    assert_eq!(&sha256(&write(&network, &info).unwrap()), ran, "the exported file is not the one that onnxruntime ran");

    let expected = SafeTensors::deserialize(&expected).unwrap();
    let (shape, image) = numbers(&expected, "image");
    let image = Tensor::<4>::from_data(TensorData::new(image, shape), &device);
    for network in [network.clone(), network.fold()] {
        let output = network.forward(image.clone());
        let region = output.region.unwrap();
        let probabilities = softmax(modulate(output.logits, region.attention.clone()), 1);
        for (name, ours) in [
            ("probabilities", probabilities.into_data()),
            ("regions", softmax(region.regions, 1).into_data()),
            ("attention", region.attention.into_data()),
        ] {
            let (shape, theirs) = numbers(&expected, name);
            assert_eq!(ours.shape().to_vec(), shape, "{name}");
            let ours = ours.try_to_vec::<f32>().unwrap();
            let worst = ours.iter().zip(&theirs).fold(0.0f32, |worst, (a, b)| worst.max((a - b).abs()));
            assert!(worst < 1e-5, "{name}: largest difference {worst}");
            let (low, high) = theirs.iter().fold((1.0f32, 0.0f32), |(l, h), &v| (l.min(v), h.max(v)));
            assert!(low < 0.2 && high > 0.25, "{name}: vectors between {low} and {high} prove little");
        }
    }
}

#[test]
fn weights_for_pytorch_are_those_that_pytorch_made() {
    let made = file("network.safetensors");
    let (network, info) = pytorch::read(&made, None, &Device::flex()).unwrap();
    let written = pytorch::write(&network, &info).unwrap();
    let (made, written) = (SafeTensors::deserialize(&made).unwrap(), SafeTensors::deserialize(&written).unwrap());
    let mut names: Vec<&str> = made.names().into_iter().filter(|n| !n.ends_with("num_batches_tracked")).collect();
    let mut ours = written.names();
    names.sort_unstable();
    ours.sort_unstable();
    assert_eq!(names, ours);
    for name in names {
        let (a, b) = (made.tensor(name).unwrap(), written.tensor(name).unwrap());
        assert_eq!((a.shape(), a.data()), (b.shape(), b.data()), "{name}");
    }
}

#[test]
fn what_is_not_a_description_of_a_network_is_asked_for() {
    use pytorch::ImportError;
    let device = Device::flex();
    let made = file("network.safetensors");
    let bare = safetensors::serialize(SafeTensors::deserialize(&made).unwrap().tensors(), None).unwrap();
    assert!(matches!(pytorch::read(&bare, None, &device), Err(ImportError::NoDescription)));
    let (_, like) = pytorch::read(&made, None, &device).unwrap();
    assert_eq!(pytorch::read(&bare, Some(&like), &device).unwrap().1, like);
    let wider = ModelInfo { network: NetworkConfig { base: 8, ..like.network.clone() }, ..like };
    assert!(matches!(pytorch::read(&bare, Some(&wider), &device), Err(ImportError::Weights(_))));
    for pickle in [&b"PK\x03\x04"[..], &[0x80, 2, b'}']] {
        let error = pytorch::read(pickle, None, &device).unwrap_err();
        assert!(matches!(error, ImportError::Pickle) && error.to_string().contains("import"));
    }
}

#[test]
fn a_plain_network_exports_without_a_region_branch() {
    let network = NetworkConfig { base: 4, levels: 2, stack: 3, attention: false };
    let info = ModelInfo {
        format: crate::network::weights::FORMAT_VERSION,
        name: "plain".into(),
        input: InputConfig { stack: 3, crop: 32, ..InputConfig::light() },
        trained_organs: Vec::new(),
        data: Vec::new(),
        held_out: Vec::new(),
        gauge: None,
        steps: 0,
        note: String::new(),
        network,
    };
    let bytes = write(&info.network.init(&Device::flex()), &info).unwrap();
    let holds = |text: &str| bytes.windows(text.len()).any(|w| w == text.as_bytes());
    assert!(holds("probabilities") && holds("Softmax") && !holds("Sigmoid") && !holds("regions"));
}
