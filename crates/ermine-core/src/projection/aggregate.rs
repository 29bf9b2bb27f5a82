use serde::{Serialize, de::DeserializeOwned};

use crate::{ApplyError, DomainEvent, Recorded};

/// State that is folded out of events: the whole contract of a single-stream or multi-stream projection.
///
/// ```
/// use ermine_core::{Aggregate, ApplyError, DomainEvent, Recorded};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(DomainEvent)]
/// #[event(crate = "ermine_core")]
/// enum AccountEvent {
///     Deposited { cents: u64 },
///     Withdrawn { cents: u64 },
///     Closed,
/// }
///
/// #[derive(Default, Serialize, Deserialize)]
/// struct Account {
///     cents: u64,
/// }
///
/// impl Aggregate for Account {
///     type Event = AccountEvent;
///
///     fn evolve(account: Option<Self>, event: &Recorded<AccountEvent>) -> Result<Option<Self>, ApplyError> {
///         let mut account = account.unwrap_or_default();
///         match event.data() {
///             AccountEvent::Deposited { cents } => account.cents += cents,
///             AccountEvent::Withdrawn { cents } => {
///                 account.cents = account.cents.checked_sub(*cents).ok_or_else(|| ApplyError::msg("overdrawn"))?;
///             }
///             AccountEvent::Closed => return Ok(None),
///         }
///         Ok(Some(account))
///     }
/// }
/// ```
pub trait Aggregate: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The events it is folded out of.
    type Event: DomainEvent;

    /// The state after `event`; `None` deletes the view, and the next event starts again from `None`.
    ///
    /// It must depend on nothing but its arguments: the engine may call it again for the same event after a failed
    /// commit. Nor may it depend on the order of keys in the state's JSON, which a store may change.
    ///
    /// # Errors
    ///
    /// Whatever user code has against the event; it is never applied then.
    fn evolve(state: Option<Self>, event: &Recorded<Self::Event>) -> Result<Option<Self>, ApplyError>;
}
