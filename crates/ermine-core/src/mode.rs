/// Whether and how this process takes part in running projections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum DaemonMode {
    /// Not at all.
    #[default]
    Disabled,
    /// It runs every shard, and nobody else is meant to; no election.
    Solo,
}
