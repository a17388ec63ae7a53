//! What policy concluded (`verdict`), what was done (`outcome`), and how a request ended (`status`).

use super::spelled;

spelled! {
    /// What policy concluded about a request.
    RequestVerdict {
        /// Send it as it is.
        Send = "send",
        /// Send it with placeholders that the answer gets restored from.
        SendTokenized = "send_tokenized",
        /// Send it with findings replaced.
        SendRedacted = "send_redacted",
        /// Do not send it.
        Deny = "deny",
    }
}

spelled! {
    /// What was done with a request.
    RequestOutcome {
        /// It went out untouched.
        Allowed = "allowed",
        /// It went out with findings replaced by `[redacted:<class>]`.
        Redacted = "redacted",
        /// It went out with placeholders.
        Tokenized = "tokenized",
        /// It did not go out.
        Denied = "denied",
    }
}

spelled! {
    /// What policy concluded about an answer.
    AnswerVerdict {
        /// Deliver it as it is.
        Release = "release",
        /// Deliver it with findings replaced.
        ReleaseRedacted = "release_redacted",
        /// Do not deliver it.
        Withhold = "withhold",
        /// There was no answer to ask about.
        None = "none",
    }
}

spelled! {
    /// What was done with an answer.
    AnswerOutcome {
        /// Delivered untouched.
        Released = "released",
        /// Delivered with findings replaced.
        Redacted = "redacted",
        /// Stopped after bytes had gone out.
        Cut = "cut",
        /// Not delivered at all.
        Withheld = "withheld",
        /// There was no answer.
        None = "none",
    }
}

spelled! {
    /// Whether a route enforces its verdicts.
    Mode {
        /// The verdict is carried out.
        Enforce = "enforce",
        /// The verdict is recorded, the request passes.
        Observe = "observe",
    }
}

spelled! {
    /// How a request ended (`status` of its completion).
    Status {
        /// The whole answer was delivered.
        Completed = "completed",
        /// Policy or identity refused it, nothing was sent.
        Denied = "denied",
        /// It was allowed and then not sent.
        NotSent = "not_sent",
        /// The vendor could not be reached, or its answer broke off.
        UpstreamError = "upstream_error",
        /// The vendor reported an error inside a stream after its HTTP 200.
        StreamError = "stream_error",
        /// The caller went away.
        ClientAborted = "client_aborted",
        /// Policy stopped the answer.
        CutByPolicy = "cut_by_policy",
        /// The gateway failed.
        GatewayError = "gateway_error",
        /// The process died: nobody knows whether it was sent.
        Orphan = "orphan",
    }
}
