use async_trait::async_trait;

use crate::{Holder, Observation, Observe, Result};

/// Says what the store knows about numbers that may still become events.
///
/// # Contract
///
/// - The fields of an observation are read in their order, each after the one before it has been answered.
/// - An append in flight shows as evidence from before it draws its first number until it has ended.
/// - A rolled back append leaves the evidence, and its numbers stay dead.
/// - The incarnation changes when the store loses anything it had shown, and stays otherwise.
/// - `explain` names every append that keeps the mark from moving.
#[async_trait]
pub trait HighWaterSource: Send + Sync {
    /// Looks at the log.
    ///
    /// # Errors
    ///
    /// Those of the connection.
    ///
    /// # Cancellation
    ///
    /// Safe: at worst the doorbell has been armed.
    async fn observe(&self, request: Observe) -> Result<Observation>;

    /// Who keeps the mark from moving, lowest floor first; empty when nobody does.
    ///
    /// # Errors
    ///
    /// Those of the connection.
    async fn explain(&self) -> Result<Vec<Holder>>;
}
