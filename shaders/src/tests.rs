//! Every shader is valid, and every system's driver can be given it, at default limits and without any feature.

use naga::back::{glsl, hlsl, msl, spv};
use naga::proc::BoundsCheckPolicies;
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{Module, TypeInner};

use super::network::{Kernel, Stored};
use super::*;

const ALL: [(&str, &str); 1] = [("slice", SLICE)];

fn valid(name: &str, source: &str) -> (Module, ModuleInfo) {
    valid_with(Capabilities::empty(), name, source)
}

fn valid_with(capabilities: Capabilities, name: &str, source: &str) -> (Module, ModuleInfo) {
    let module = naga::front::wgsl::parse_str(source)
        .unwrap_or_else(|error| panic!("{name}.wgsl: {}", error.emit_to_string(source)));
    let info = Validator::new(ValidationFlags::all(), capabilities)
        .validate(&module)
        .unwrap_or_else(|error| panic!("{name}.wgsl: {}", error.emit_to_string(source)));
    (module, info)
}

#[test]
fn every_shader_translates_to_vulkan_metal_and_direct_x() {
    for (name, source) in ALL {
        let (module, info) = valid(name, source);
        let words = spv::write_vec(&module, &info, &spv::Options::default(), None).unwrap();
        assert_eq!(words[0], 0x0723_0203, "{name}: SPIR-V begins with its magic number");

        let options = msl::Options { lang_version: (1, 2), ..Default::default() };
        let (text, translated) = msl::write_string(&module, &info, &options, &Default::default()).unwrap();
        assert!(translated.entry_point_names.iter().all(Result::is_ok), "{name}: {:?}", translated.entry_point_names);
        assert!(text.contains("texture2d_array<int"), "{name}: {text}");

        let (mut text, options) = (String::new(), hlsl::Options::default());
        let pipeline = hlsl::PipelineOptions::default();
        let translated = hlsl::Writer::new(&mut text, &options, &pipeline).write(&module, &info, None).unwrap();
        assert!(translated.entry_point_names.iter().all(Result::is_ok), "{name}: {:?}", translated.entry_point_names);
    }
}

#[test]
fn every_shader_translates_to_web_gl_2() {
    for (name, source) in ALL {
        let (module, info) = valid(name, source);
        let options =
            glsl::Options { version: glsl::Version::Embedded { version: 300, is_webgl: true }, ..Default::default() };
        for entry in &module.entry_points {
            let pipeline =
                glsl::PipelineOptions { shader_stage: entry.stage, entry_point: entry.name.clone(), multiview: None };
            let mut text = String::new();
            glsl::Writer::new(&mut text, &module, &info, &options, &pipeline, BoundsCheckPolicies::default())
                .and_then(|mut writer| writer.write())
                .unwrap_or_else(|error| panic!("{name}, {}: {error}", entry.name));
            assert!(text.starts_with("#version 300 es"), "{name}, {}: {text}", entry.name);
        }
    }
}

#[test]
fn every_shader_stays_within_the_least_limits() {
    for (name, source) in ALL {
        let (module, _) = valid(name, source);
        let (mut uniforms, mut textures) = (0, 0);
        for (_, variable) in module.global_variables.iter() {
            match module.types[variable.ty].inner {
                TypeInner::Struct { span, .. } => {
                    assert_eq!(span % 16, 0, "{name}: WebGL wants uniforms in multiples of 16 bytes");
                    assert!(span <= 16 << 10, "{name}: a uniform has at most 16 KiB");
                    uniforms += 1;
                }
                TypeInner::Image { .. } => textures += 1,
                ref other => panic!("{name}: {other:?} is not known to work everywhere"),
            }
            assert_ne!(variable.space, naga::AddressSpace::WorkGroup);
        }
        assert!(uniforms <= 11 && textures <= 16, "{name}: {uniforms} uniforms, {textures} textures");
    }
}

#[test]
fn uniforms_have_the_sizes_that_are_documented() {
    let (module, _) = valid("slice", SLICE);
    let size = |name: &str| {
        let (_, ty) = module.types.iter().find(|(_, ty)| ty.name.as_deref() == Some(name)).unwrap();
        match ty.inner {
            TypeInner::Struct { span, .. } => span as usize,
            ref other => panic!("{name} is {other:?}"),
        }
    };
    assert_eq!((size("Slice"), size("Palette")), (SLICE_VIEW_BYTES, SLICE_PALETTE_BYTES));
}

/// What a default device of WebGPU offers.
const MOST_WORKGROUP_MEMORY: u32 = 16 << 10;
const MOST_THREADS: u32 = 256;
const MOST_STORAGE_BUFFERS: usize = 8;

#[test]
fn every_kernel_of_the_network_translates_to_vulkan_metal_and_direct_x_within_the_default_limits() {
    let both = |kernel: Kernel| Stored::ALL.map(|stored| (kernel, stored));
    let training = Kernel::training().into_iter().map(|kernel| (kernel, Stored::F32));
    for (kernel, stored) in Kernel::inference().into_iter().flat_map(both).chain(training) {
        let (name, source) = (format!("{} ({})", kernel.name(), stored.name()), kernel.source(stored));
        // The one feature that is ever asked for, and Direct3D's version that has it.
        let (capabilities, shader_model) = match stored {
            Stored::F32 => (Capabilities::empty(), hlsl::Options::default().shader_model),
            Stored::F16 => (Capabilities::SHADER_FLOAT16, hlsl::ShaderModel::V6_2),
        };
        let (module, info) = valid_with(capabilities, &name, &source);
        let words = spv::write_vec(&module, &info, &spv::Options::default(), None).unwrap();
        assert_eq!(words[0], 0x0723_0203, "{name}");

        // Metal has to be told the sizes of arrays that end where their buffer ends; nothing here asks for them.
        let options = msl::Options { lang_version: (2, 1), ..Default::default() };
        let (_, translated) = msl::write_string(&module, &info, &options, &Default::default()).unwrap();
        assert!(translated.entry_point_names.iter().all(Result::is_ok), "{name}: {:?}", translated.entry_point_names);

        let (mut text, options) = (String::new(), hlsl::Options { shader_model, ..Default::default() });
        let pipeline = hlsl::PipelineOptions::default();
        let translated = hlsl::Writer::new(&mut text, &options, &pipeline).write(&module, &info, None).unwrap();
        assert!(translated.entry_point_names.iter().all(Result::is_ok), "{name}: {:?}", translated.entry_point_names);

        let (mut memory, mut buffers) = (0, 0);
        for (_, variable) in module.global_variables.iter() {
            match variable.space {
                naga::AddressSpace::WorkGroup => memory += module.types[variable.ty].inner.size(module.to_ctx()),
                naga::AddressSpace::Storage { .. } => buffers += 1,
                naga::AddressSpace::Uniform => {}
                other => panic!("{name}: {other:?}"),
            }
        }
        let threads: u32 = module.entry_points[0].workgroup_size.iter().product();
        assert!(
            memory <= MOST_WORKGROUP_MEMORY && threads <= MOST_THREADS,
            "{name}: {memory} bytes, {threads} threads"
        );
        assert!(buffers <= MOST_STORAGE_BUFFERS, "{name}: {buffers} buffers");
        // The driver of a browser is Tint, which has no such names.
        assert!(!source.contains('#') && !source.contains("{i}"), "{name} is not expanded");
    }
}
