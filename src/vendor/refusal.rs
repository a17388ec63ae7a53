//! Refusals: one HTTP status and one line of advice for each reason; dialects give them the vendor's shape.
//!
//! SDKs retry on 408, 409, 429 and 5xx: so policy refuses with 403 and malformed input with 422, also where an answer
//! had to be withheld (asking again would only cost again).

use serde_json::{Value, json};

use crate::types::{Reason, RequestId};

/// Why a request gets no answer from the vendor, or not all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// The reason code given to the caller.
    pub reason: Reason,
    /// What is wrong and what to do; holds no text of the request. Bodies put it on one line.
    pub message: String,
    /// The request's id, so that the caller can name it.
    pub request: RequestId,
}

impl Refusal {
    /// The refusal for a reason, with its usual status and message.
    pub fn of(reason: Reason, request: RequestId) -> Self {
        let (status, advice) = usual(reason);
        Refusal { status, reason, message: advice.to_owned(), request }
    }

    /// The same with another message.
    #[must_use]
    pub fn saying(mut self, message: impl Into<String>) -> Self {
        self.message = message.into();
        self
    }

    /// The line a person sees: message, reason code, request id.
    pub fn line(&self) -> String {
        let message: String = self.message.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        format!("refused by sealgate ({}): {}; request {}", self.reason, message.trim(), self.request)
    }

    /// The vendors' word for this kind of error, by status; the words are the same in both dialects but for 5xx.
    fn kind(&self) -> &'static str {
        match self.status {
            401 => "authentication_error",
            403 => "permission_error",
            404 => "not_found_error",
            429 => "rate_limit_error",
            413 => "request_too_large",
            408 | 504 => "timeout_error",
            503 => "overloaded_error",
            500.. => "api_error",
            _ => "invalid_request_error",
        }
    }

    /// `{"error":{"message","type","param","code"}}`
    pub(super) fn openai(&self) -> Value {
        let kind = match self.kind() {
            "request_too_large" => "invalid_request_error",
            "overloaded_error" | "api_error" | "timeout_error" => "server_error",
            other => other,
        };
        json!({"error": {"message": self.line(), "type": kind, "param": null, "code": self.reason.as_str()}})
    }

    /// `{"type":"error","error":{"type","message"},"request_id"}`
    pub(super) fn anthropic(&self) -> Value {
        json!({
            "type": "error",
            "error": {"type": self.kind(), "message": self.line()},
            "request_id": self.request.to_string(),
        })
    }
}

/// Status and advice of a reason.
fn usual(reason: Reason) -> (u16, &'static str) {
    use Reason as R;
    match reason {
        R::IdentityMissing => (401, "no sealgate token was presented; put it where the sdk takes its api key"),
        R::IdentityInvalid => (401, "this sealgate token is not valid; ask the operator for a new one"),
        R::IdentityExpired => (401, "this sealgate token has expired; ask the operator for a new one"),
        R::IdentityConflict => (401, "two different credentials were presented; send only one"),
        R::RouteUnknown => (404, "no route serves this path; check the base url"),
        R::RequestMalformed => (422, "the request is not valid for this endpoint; correct it before sending it again"),
        R::RequestUnscannable => (422, "the body could not be scanned; send plain json without an unusual encoding"),
        R::RequestUpgrade => (422, "protocol upgrades are not supported; use plain requests or event streams"),
        R::RequestTooLarge => (413, "the body is over the limit; send less or ask the operator to raise it"),
        R::RequestTimeout => (408, "the body did not arrive in time; send it again"),
        R::QuotaRate => (429, "the limit for this caller is used up; wait before trying again"),
        R::LedgerUnavailable => {
            (503, "decisions cannot be recorded at the moment, so nothing is sent; tell the operator")
        }
        R::ScanError => (503, "the scanner failed, so nothing is sent; tell the operator"),
        R::GatewayDraining => (503, "the gateway is shutting down; try again shortly"),
        R::GatewayError | R::GatewayCrashed => (500, "the gateway failed; tell the operator the request id"),
        R::UpstreamTimeout => (504, "the vendor did not answer in time; try again later"),
        R::UpstreamRefused => (502, "the vendor could not be reached; try again later"),
        R::UpstreamTls => (502, "no trusted connection to the vendor could be made; tell the operator"),
        R::UpstreamError | R::UpstreamStreamError => (502, "the vendor's answer broke off or was not valid; try again"),
        R::ClientAborted => (499, "the caller closed the connection"),
        other => (403, policy_advice(other)),
    }
}

/// What to do about a refusal by policy.
fn policy_advice(reason: Reason) -> &'static str {
    use Reason as R;
    match reason {
        R::AuthzTenant => "this token belongs to another tenant than the route; use a token of the route's tenant",
        R::AuthzRole => "no rule permits this caller's roles here; ask the policy owner",
        R::VendorNotApproved => "the policy does not approve this vendor; use an approved one or ask the policy owner",
        R::VendorAssuranceExpired => "the vendor's assurance has expired; ask the policy owner to renew it",
        R::VendorNoCredential => "the gateway has no credential for this vendor; ask the operator to configure one",
        R::OperationUnknown => "the policy does not permit this endpoint; use chat completions or messages",
        R::ModelNotApproved => "the policy does not approve this model; use an approved one",
        R::ClassOverCeiling => "the content is too sensitive for this vendor; remove the sensitive parts",
        R::DlpSecret => "a secret was found; remove it, and revoke it if it is real",
        R::DlpPan => "a payment card number was found; remove it",
        R::DlpPii => "personal data was found; remove it",
        R::DlpOther => "content was found that must not pass; remove it",
        R::ToolNotAllowed => "the policy does not allow one of the tools; leave it out",
        R::AnswerUnscannable => "the vendor's answer could not be scanned and was withheld; ask for a plain answer",
        R::AnswerTooLarge => "the vendor's answer is over the limit and was withheld; ask for a shorter one",
        R::PolicyNotYetValid => "the policy in force is not valid yet; tell the policy owner",
        R::PolicyExpired => "the policy in force has expired; tell the policy owner",
        R::PolicyError => "the policy could not be evaluated, so nothing is sent; tell the policy owner",
        _ => "no rule of the policy permits this; ask the policy owner",
    }
}
