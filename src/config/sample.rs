//! The commented file that `sealgate init` writes; a test holds that it parses and says the defaults.

/// A configuration to start from.
pub const SAMPLE: &str = r#"# Sealgate configuration. Every table has defaults; unknown names are refused.
# Paths are relative to this file. Check it with `sealgate check`.

[gateway]
# The name in every record's origin. Fixed at the first start: choose it before then.
# name = "gateway-1"

[listen]
# Where SDKs connect. Off loopback you must say how TLS is done (see `tls`).
gateway = "127.0.0.1:8080"
# Health, metrics and the API; loopback only.
admin = "127.0.0.1:9090"
# tls = "terminated"                                   # something in front terminates TLS
# tls = { certificate = "tls.crt", key = "tls.key" }   # TLS here; changed files are taken up while running

[store]
# Log, keys and index. Back up `keys/` apart from `log/`.
dir = "data"
# "sync": a record is on disk before a byte leaves. "none" voids that, says so in every record, and is for tests.
durability = "sync"

[policy]
# A bundle, or a folder of bundles; without it the embedded default bundle decides.
# dir = "policies/default"

[limits]
body_bytes_max = 33554432
answer_bytes_max = 67108864
body_seconds = 120
delivery_seconds = 300
# Unauthenticated refusals above this rate are counted in `refusals` records instead of one by one.
unauthenticated_records_per_second = 200
drain_seconds = 30

[egress]
# Further certificate authorities for vendors (PEM).
# ca_file = "internal-ca.pem"
connect_seconds = 10
first_byte_seconds = 600
idle_seconds = 300
total_seconds = 3600

# Vendors: the ids are those of the policy bundle's register (vendors.toml).
[[vendor]]
id = "openai"
dialect = "openai"
url = "https://api.openai.com"
# "env:NAME", "file:PATH", or "caller" (the caller sends its own vendor key, and its Sealgate token in the
# header `sealgate-authorization`). Leave it out for a server that needs none.
credential = "env:OPENAI_API_KEY"

[[vendor]]
id = "anthropic"
dialect = "anthropic"
url = "https://api.anthropic.com"
credential = "env:ANTHROPIC_API_KEY"

# The built-in vendor: answers without leaving this machine.
[[vendor]]
id = "demo"
dialect = ["openai", "anthropic"]
url = "demo:"

# Routes: a file that names any route replaces the embedded ones.
[[route]]
name = "openai"
path = "/openai"          # stripped; the rest is appended to the vendor's url
vendor = "openai"
tenant = "default"
mode = "enforce"          # or "observe", where the bundle permits it
label = "internal"        # floor of clean text: public, internal, confidential, restricted
retention = "aiact"       # min, aiact, pci, soc2, iso, hipaa
risk = "unassessed"       # high, limited, minimal, unassessed

[[route]]
name = "anthropic"
vendor = "anthropic"

[[route]]
name = "demo"
vendor = "demo"
"#;
