/// What a store's observations say about appends in flight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum EvidenceKind {
    /// The floor of each append in flight: [`Evidence::Floors`](ermine_core::Evidence::Floors).
    #[default]
    Floors,
    /// Who is in flight: [`Evidence::Holders`](ermine_core::Evidence::Holders).
    Holders,
    /// Nothing but what is visible: [`Evidence::Visible`](ermine_core::Evidence::Visible).
    Visible,
}
