//! Which key may sign here: the log key for `key.certified`, the epoch key in range for everything else.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::record::head::EventHead;
use crate::record::key::{KeyId, PublicKey};
use crate::record::note::SignedNote;

/// The keys in range.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    /// The log key, where it was given.
    log: Option<PublicKey>,
    /// Its id: given, or as the first `key.certified` says.
    log_id: Option<KeyId>,
    /// The epoch key in range.
    epoch: Option<PublicKey>,
}

/// The outgoing key and its signature over the new one.
type Handover = (PublicKey, [u8; 64]);

impl Keys {
    pub(super) fn new(log: Option<PublicKey>) -> Self {
        Keys { log_id: log.as_ref().map(PublicKey::id), log, epoch: None }
    }

    /// The log key's id as far as it is known.
    pub(super) fn log_id(&self) -> Option<KeyId> {
        self.log_id
    }

    /// Takes the key a `key.certified` brings; its hand-over, if it is a live rotation.
    pub(super) fn certified(&mut self, event: &EventHead) -> Result<Option<Handover>, String> {
        if event.fields.keys().any(|name| !matches!(name.as_str(), "epoch" | "handover" | "public")) {
            return Err("`key.certified` has a field that is not known".to_owned());
        }
        let text = event.text("public").unwrap_or_default();
        let key = PublicKey::from_base64(text).map_err(|error| error.to_string())?;
        if key.to_base64() != text || event.text("epoch") != Some(&key.id().to_string()) {
            return Err("`epoch` is not the id of `public`".to_owned());
        }
        let handover = match event.fields.contains_key("handover") {
            false => None,
            true => {
                let signature = signature(event.text("handover").unwrap_or_default());
                let outgoing = self.epoch.clone().ok_or("a hand-over without an outgoing key")?;
                Some((outgoing, signature.ok_or("`handover` is not a signature in base64")?))
            }
        };
        self.epoch = Some(key);
        Ok(handover)
    }

    /// Raw bytes of the epoch key in range.
    pub(super) fn epoch_raw(&self) -> Result<&[u8; 32], String> {
        self.epoch.as_ref().map(PublicKey::raw).ok_or_else(|| "the log does not begin with `key.certified`".to_owned())
    }

    /// The key of an ordinary record that names `id`.
    pub(super) fn epoch_signer(&self, id: KeyId) -> Result<&PublicKey, String> {
        let epoch = self.epoch.as_ref().ok_or("the log does not begin with `key.certified`")?;
        if epoch.id() == id { Ok(epoch) } else { Err("its key is not the one in range here".to_owned()) }
    }

    /// The key of a `key.certified` that names `id`; `None` where the log key was not given.
    pub(super) fn log_signer(&mut self, id: KeyId) -> Result<Option<&PublicKey>, String> {
        if *self.log_id.get_or_insert(id) != id {
            return Err("`key.certified` is not by the log key".to_owned());
        }
        Ok(self.log.as_ref())
    }

    /// The one signature a checkpoint inside a segment has: the epoch key's.
    pub(super) fn checkpoint_signature(&self, note: &SignedNote) -> Result<(&PublicKey, [u8; 64]), String> {
        let epoch = self.epoch.as_ref().ok_or("the log does not begin with `key.certified`")?;
        let origin = &note.checkpoint.origin;
        let [line] = note.signatures.as_slice() else {
            return Err("the checkpoint has more than one signature".to_owned());
        };
        if line.name != *origin || line.hash != epoch.note_hash(origin) {
            return Err("the checkpoint is not signed by the key in range here".to_owned());
        }
        let signature =
            line.signature.as_slice().try_into().map_err(|_| "the checkpoint's signature is not 64 bytes")?;
        Ok((epoch, signature))
    }
}

/// Base64 in its one spelling to a signature.
fn signature(text: &str) -> Option<[u8; 64]> {
    let bytes = STANDARD.decode(text).ok()?;
    (STANDARD.encode(&bytes) == text).then_some(())?;
    bytes.try_into().ok()
}
