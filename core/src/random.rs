//! Random numbers that are the same on every platform and in every version of the program: seeds by name, and the normal
//! distribution. A resumed training, a fold and a start of weights depend on them to the last bit.

use rand::RngExt;
use rand_pcg::Pcg64;
use sha2::{Digest, Sha256};

/// A 64-bit hash of a seed and a text (the first eight bytes of SHA-256).
pub fn hash(seed: u64, text: &str) -> u64 {
    let mut sha = Sha256::new();
    sha.update(seed.to_le_bytes());
    sha.update(text.as_bytes());
    let digest = sha.finalize();
    u64::from_le_bytes(std::array::from_fn(|n| digest[n]))
}

/// A standard normal number (Box and Muller).
pub(crate) fn normal(rng: &mut Pcg64) -> f32 {
    let u: f64 = rng.random_range(f64::MIN_POSITIVE..1.0);
    let v: f64 = rng.random();
    ((-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()) as f32
}
