//! What can be wrong with a network.

/// Why there is no plan for a network.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A tensor.
    #[error("the network cannot be laid out for the processor: {0}")]
    Tensor(String),
}
