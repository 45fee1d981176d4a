//! Who makes a change.

/// What kind of actor; the numbers are those of `rollcall.common.v1.ActorKind`, and are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ActorKind {
    /// Okta, through a connection.
    Connection = 1,
    /// An internal platform of the product.
    Platform = 2,
    /// A person who operates Rollcall.
    Operator = 3,
    /// Rollcall itself, such as the release of held users.
    System = 4,
}

impl ActorKind {
    /// The kind of a stored number.
    #[must_use]
    pub fn from_number(number: i64) -> Option<Self> {
        let kinds = [
            Self::Connection,
            Self::Platform,
            Self::Operator,
            Self::System,
        ];
        kinds.into_iter().find(|kind| kind.number() == number)
    }

    /// The number under which the kind is stored.
    #[must_use]
    pub fn number(self) -> i64 {
        i64::from(self as u8)
    }
}

/// Who makes a change: a kind, and an id of that kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Actor {
    /// What kind.
    pub kind: ActorKind,
    /// The connection's id or the caller's name; empty for Rollcall itself.
    pub id: String,
}

impl Actor {
    /// Rollcall itself.
    #[must_use]
    pub fn system() -> Self {
        Self {
            kind: ActorKind::System,
            id: String::new(),
        }
    }
}
