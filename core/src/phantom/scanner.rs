//! What the scanner adds: the couch, noise, and the streaks of metal in teeth.

use super::patient::Patient;
use super::scene::{Plane, Zone, zone};
use super::shapes::Point;
use super::texture::{hash, noise, normal};

/// HU of air.
pub(super) const AIR_HU: f32 = -1000.0;

/// A flat couch top of a treatment room: a thin shell around foam, in scanner coordinates.
pub(super) fn couch(
    patient: &Patient,
    size: [usize; 2],
    pixel_mm: f32,
    origin: [f32; 2],
    hu: &mut [f32],
    zones: &[Zone],
) {
    const HALF: [f32; 2] = [245.0, 26.0];
    const SHELL_MM: f32 = 2.5;
    let middle = patient.couch_y() + HALF[1];
    for j in 0..size[1] {
        let y = (origin[1] + j as f32 * pixel_mm - middle).abs() - HALF[1];
        if y > pixel_mm {
            continue;
        }
        for i in 0..size[0] {
            let n = j * size[0] + i;
            if zones[n] != zone::AIR {
                continue;
            }
            let x = (origin[0] + i as f32 * pixel_mm).abs() - HALF[0];
            let d = x.max(y);
            let cover = |d: f32| (0.5 - d / pixel_mm).clamp(0.0, 1.0);
            let (whole, foam) = (cover(d), cover(d + SHELL_MM));
            // What soft edges of the skin left in the pixel stays.
            hu[n] += (whole - foam) * 700.0 + foam * 65.0;
        }
    }
}

/// Noise of `sigma` HU in a body as thick as a chest, with the short range that reconstruction gives it.
pub(super) fn add_noise(size: [usize; 2], sigma: f32, seed: u32, hu: &mut [f32], zones: &[Zone], pixel_mm: f32) {
    let inside = zones.iter().filter(|&&z| z != zone::AIR).count() as f32 * pixel_mm * pixel_mm;
    let thickness = 2.0 * (inside / std::f32::consts::PI).sqrt();
    let sigma = sigma * (thickness / 270.0).powi(2).clamp(0.4, 1.6);
    let [width, height] = size;
    // Each row smoothed along x; then three rows along y. The factor restores the standard deviation.
    let row = |j: usize| -> Vec<f32> {
        let white = |i: usize| normal(seed.wrapping_add((j * (width + 2) + i) as u32));
        let raw: Vec<f32> = (0..width + 2).map(white).collect();
        raw.windows(3).map(|w| w[0] + 2.0 * w[1] + w[2]).collect()
    };
    let factor = sigma / 6.0;
    let (mut above, mut here) = (row(0), row(1));
    for j in 0..height {
        let below = row(j + 2);
        for i in 0..width {
            hu[j * width + i] += factor * (above[i] + 2.0 * here[i] + below[i]);
        }
        above = std::mem::replace(&mut here, below);
    }
}

/// Bright and dark rays from metal in teeth near the plane.
pub(super) fn streaks(fillings: &[Point], z: f32, plane: &Plane, hu: &mut [f32], zones: &[Zone]) {
    for (n, metal) in fillings.iter().enumerate() {
        let near = (-((z - metal[2]) / 4.5).powi(2)).exp();
        if near < 0.05 {
            continue;
        }
        let seed = hash(n as u32 + 77);
        for (k, [x, y]) in plane.points.iter().enumerate() {
            if zones[k] == zone::AIR {
                continue;
            }
            let (dx, dy) = (x - metal[0], y - metal[1]);
            let r = dx.hypot(dy);
            if r > 140.0 {
                continue;
            }
            let angle = dy.atan2(dx);
            let ray = noise(5.0 * angle.cos(), 5.0 * angle.sin(), 0.3 * z, seed);
            hu[k] += near * 900.0 * ray * ray.abs() * (-r / 45.0).exp();
        }
    }
}
