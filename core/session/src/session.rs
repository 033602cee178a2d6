//! The session: its shared host and its entry points.

use std::rc::Rc;
use std::sync::Arc;

use bytes::BytesMut;

use crate::node::Node;
use crate::output::{Output, PeerInfo, SessionFlow};
use crate::registry::SessionRegistry;

/// What the sessions of one executor share: the node, the counters, the plan cache.
pub struct SessionHost {
    pub(crate) node: Rc<dyn Node>,
    pub(crate) registry: Arc<SessionRegistry>,
}

impl SessionHost {
    /// The host of one executor; make one per executor thread.
    #[must_use]
    pub fn new(node: Rc<dyn Node>, registry: Arc<SessionRegistry>) -> Rc<Self> {
        Rc::new(Self { node, registry })
    }
}

/// One client connection.
pub struct Session {
    pub(crate) host: Rc<SessionHost>,
    pub(crate) peer: PeerInfo,
}

impl Session {
    /// A session for a client that has just connected. It is in the processlist until it is dropped.
    #[must_use]
    pub fn new(host: &Rc<SessionHost>, peer: PeerInfo) -> Self {
        Self { host: Rc::clone(host), peer }
    }

    /// The first bytes of the connection, to be written before anything is read: the greeting, or
    /// error 1040 with [`SessionFlow::Close`].
    pub fn initial_bytes(&mut self, _out: &mut Vec<u8>) -> SessionFlow {
        SessionFlow::Continue
    }

    /// Takes what the client sent and runs every command that is complete in it, in order.
    ///
    /// `input` is consumed as far as it was understood (all of it; a partial packet is kept inside the
    /// session or left in `input`). The answers are appended to `out`, which the owner writes after
    /// the call, also when the answer is [`SessionFlow::Close`]; a large result goes through `output`
    /// in between.
    pub async fn on_bytes(
        &mut self,
        _input: &mut BytesMut,
        _out: &mut Vec<u8>,
        _output: &mut dyn Output,
    ) -> SessionFlow {
        SessionFlow::Continue
    }

    /// The connection id, as `CONNECTION_ID()` says it.
    #[must_use]
    pub fn connection_id(&self) -> u64 {
        0
    }
}
