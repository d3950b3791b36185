//! What the operator of a network may choose about its tunnels.

use std::time::Duration;

/// How many tunnels a node has, and how patient it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Tunnels that a node has asked for, at most.
    pub own: usize,
    /// Tunnels in all with which a node asks for no more.
    pub wanted: usize,
    /// Tunnels in all, at most.
    pub in_all: usize,
    /// The same, where those who ask reach nobody else.
    pub in_need: usize,
    /// How often a tunnel is replaced by another one.
    pub refresh: Duration,
    /// How long a tunnel may be drained before it is kept.
    pub drain_within: Duration,
    /// How long a question may stay without an answer.
    pub answer_within: Duration,
    /// The same of one whose place was told meanwhile: WireGuard repeats its first packet after five seconds only.
    pub answer_after_move_within: Duration,
    /// How long a tunnel may take until it carries something.
    pub up_within: Duration,
    /// Between two questions of who is connected already.
    pub pause: Duration,
    /// The same, after many questions in vain.
    pub longest_pause: Duration,
    /// The same of who has no tunnel.
    pub longest_pause_alone: Duration,
    /// Questions at once of who is not connected.
    pub asks_at_once: usize,
    /// For how long somebody who has no room is not asked again.
    pub rest_of_full: Duration,
    /// The same of somebody who does not answer, or whose tunnel does not come up.
    pub rest_of_silent: Duration,
    /// For how long there is no tunnel with somebody who did what nobody may.
    pub distrust_for: Duration,
    /// How long it takes until the others have heard of who is new.
    pub heard_of_after: Duration,
    /// Over how long all begin to ask, for each node that there is.
    pub spread: Duration,
    pub longest_spread: Duration,
}

impl Default for Settings {
    /// As re6st has them, where it has them (`client_count`, `tunnel_refresh`), and room for newcomers.
    fn default() -> Self {
        Self {
            own: 10,
            wanted: 16,
            in_all: 20,
            in_need: 84,
            refresh: Duration::from_secs(300),
            drain_within: Duration::from_secs(30),
            answer_within: Duration::from_secs(3),
            answer_after_move_within: Duration::from_secs(8),
            up_within: Duration::from_secs(10),
            pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(30),
            longest_pause_alone: Duration::from_secs(5),
            asks_at_once: 3,
            rest_of_full: Duration::from_secs(60),
            rest_of_silent: Duration::from_secs(120),
            distrust_for: Duration::from_secs(3600),
            heard_of_after: Duration::from_millis(500),
            spread: Duration::from_millis(10),
            longest_spread: Duration::from_secs(20),
        }
    }
}
