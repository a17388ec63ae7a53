//! The closed, documented list of reasons: why something was refused, changed or ended as it did.

use super::spelled;

spelled! {
    /// The primary reason in a head; also the code in a refusal's body.
    Reason {
        /// Nothing stood in the way.
        Ok = "ok",
        /// No credential was presented.
        IdentityMissing = "identity.missing",
        /// A credential was presented that nobody issued, or that was revoked, or is malformed.
        IdentityInvalid = "identity.invalid",
        /// The credential's time is over.
        IdentityExpired = "identity.expired",
        /// Two different credentials were presented.
        IdentityConflict = "identity.conflict",
        /// The credential belongs to another tenant than the route.
        AuthzTenant = "authz.tenant",
        /// No rule permits this caller's roles here.
        AuthzRole = "authz.role",
        /// The vendor is not approved in the register.
        VendorNotApproved = "vendor.not_approved",
        /// The vendor's assurance report has expired.
        VendorAssuranceExpired = "vendor.assurance_expired",
        /// The gateway holds no credential for the vendor.
        VendorNoCredential = "vendor.no_credential",
        /// The path belongs to no route.
        RouteUnknown = "route.unknown",
        /// The operation is not one the dialect knows.
        OperationUnknown = "operation.unknown",
        /// The model is not registered for the vendor.
        ModelNotApproved = "model.not_approved",
        /// The label is above the vendor's ceiling.
        ClassOverCeiling = "class.over_ceiling",
        /// A secret was found.
        DlpSecret = "dlp.secret",
        /// A payment card number was found.
        DlpPan = "dlp.pan",
        /// Personal data was found.
        DlpPii = "dlp.pii",
        /// Some other class was found.
        DlpOther = "dlp.other",
        /// A tool is not allowed.
        ToolNotAllowed = "tool.not_allowed",
        /// The request is not what its dialect says: malformed JSON, duplicate keys, invalid UTF-8, too deep.
        RequestMalformed = "request.malformed",
        /// The body is over the limit.
        RequestTooLarge = "request.too_large",
        /// The body did not arrive in time.
        RequestTimeout = "request.timeout",
        /// The body could not be scanned.
        RequestUnscannable = "request.unscannable",
        /// An upgrade (WebSocket and the like) was asked for.
        RequestUpgrade = "request.upgrade",
        /// The answer could not be scanned.
        AnswerUnscannable = "answer.unscannable",
        /// The answer is over the limit.
        AnswerTooLarge = "answer.too_large",
        /// No rule permits it.
        PolicyNoMatch = "policy.no_match",
        /// The bundle is not yet valid.
        PolicyNotYetValid = "policy.not_yet_valid",
        /// The bundle's validity is over.
        PolicyExpired = "policy.expired",
        /// The route, vendor or model is suspended.
        PolicySuspended = "policy.suspended",
        /// A rule could not be evaluated.
        PolicyError = "policy.error",
        /// A rate or quota is used up.
        QuotaRate = "quota.rate",
        /// The scanner failed.
        ScanError = "scan.error",
        /// The ledger cannot write.
        LedgerUnavailable = "ledger.unavailable",
        /// The vendor refused the connection or its name does not resolve.
        UpstreamRefused = "upstream.refused",
        /// The vendor's certificate or handshake failed.
        UpstreamTls = "upstream.tls",
        /// The vendor was too slow.
        UpstreamTimeout = "upstream.timeout",
        /// The vendor's answer broke off or was not HTTP.
        UpstreamError = "upstream.error",
        /// The vendor answered with an error inside its stream.
        UpstreamStreamError = "upstream.stream_error",
        /// The caller went away.
        ClientAborted = "client.aborted",
        /// The gateway is shutting down.
        GatewayDraining = "gateway.draining",
        /// The gateway failed.
        GatewayError = "gateway.error",
        /// The process died with the request open.
        GatewayCrashed = "gateway.crashed",
    }
}
