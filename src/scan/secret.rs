//! Checks for secrets and addresses: what tells a password from a placeholder, a key from an identifier.

use super::check::{Span, entropy};
use super::pan;

/// Words that show that a value is an example, a reference or a type.
const PLACEHOLDERS: &[&str] = &[
    "your",
    "xxxx",
    "****",
    "....",
    "changeme",
    "change_me",
    "placeholder",
    "<",
    "${",
    "{{",
    "%(",
    "process.env",
    "os.environ",
    "getenv",
    "env.",
    "self.",
    "this.",
    "config.",
    "settings.",
    "args.",
    "options.",
    "secrets.",
    "redacted",
    "password",
    "passwd",
    "undefined",
    "string",
    "example",
    "dummy",
    "insert",
    "todo",
    "null",
    "none",
    "token",
    "secret",
    "default",
    "required",
];

/// Whether a value stands for another one.
fn is_placeholder(bytes: &[u8]) -> bool {
    let mut lower = [0u8; 64];
    let head = bytes.get(..bytes.len().min(64)).unwrap_or_default();
    let lower = lower.get_mut(..head.len()).unwrap_or_default();
    lower.copy_from_slice(head);
    lower.make_ascii_lowercase();
    PLACEHOLDERS.iter().any(|word| memchr::memmem::find(lower, word.as_bytes()).is_some())
}

/// Whether the password of a URL (`scheme://user:password@host`) is one: not a placeholder, not the user's name, not a
/// default that everybody knows.
pub(super) fn connection(bytes: &[u8]) -> bool {
    let Some(at) = memchr::memmem::find(bytes, b"://") else { return true };
    let rest = bytes.get(at + 3..).unwrap_or_default();
    let info = rest.rsplitn(2, |&b| b == b'@').nth(1).unwrap_or_default();
    let (user, password) = info.split_at(memchr::memchr(b':', info).unwrap_or(info.len()));
    let password = password.get(1..).unwrap_or_default();
    let known = DEFAULTS.iter().any(|word| password.eq_ignore_ascii_case(word.as_bytes()));
    !known && !password.eq_ignore_ascii_case(user) && !is_marked(password) && pan::variety(password) >= 3
}

/// Passwords of examples and of containers as they come.
const DEFAULTS: &[&str] = &[
    "password",
    "passwd",
    "pass",
    "passw0rd",
    "password1",
    "password123",
    "pwd",
    "secret",
    "root",
    "admin",
    "user",
    "guest",
    "test",
    "testing",
    "postgres",
    "mysql",
    "redis",
    "mongo",
    "rabbitmq",
    "changeme",
    "change_me",
    "change-me",
    "changeit",
    "example",
    "default",
    "token",
    "dummy",
    "placeholder",
    "foobar",
    "redacted",
    "hidden",
    "masked",
    "mypassword",
    "my_password",
    "my-password",
    "mysecretpassword",
    "yourpassword",
    "your_password",
    "your-password",
    "db_password",
    "dbpassword",
    "username",
];

/// Whether a value is written as one to be filled in or as one that is hidden.
fn is_marked(value: &[u8]) -> bool {
    let head = value.get(..4).unwrap_or(value).to_ascii_lowercase();
    let marks: &[&[u8]] = &[b"xxx", b"***", b"...", b"your", b"<", b"${", b"$(", b"{{", b"%(", b"["];
    marks.iter().any(|mark| head.starts_with(mark))
}

/// Different characters that the varying part of a token has.
const TOKEN_VARIETY_MIN: usize = 6;

/// Bytes at the end of a token that are looked at.
const TOKEN_TAIL_BYTES: usize = 24;

/// Whether what follows a token's prefix is too uniform for a token (`ghp_xxxx…`); short values say nothing.
pub(super) fn is_filler(value: &[u8]) -> bool {
    let tail = value.get(value.len().saturating_sub(TOKEN_TAIL_BYTES)..).unwrap_or_default();
    tail.len() >= 16 && pan::variety(tail) < TOKEN_VARIETY_MIN
}

/// A call, an index or a path behind a value means that it was code.
fn is_code(span: &Span<'_>) -> Option<bool> {
    Some(matches!(span.after(0)?, Some(b'(' | b'[')))
}

/// A password written after its name: a letter, and a digit or sign, no placeholder, no code.
pub(super) fn password(span: &Span<'_>) -> Option<bool> {
    let bytes = span.bytes();
    let letters = bytes.iter().any(u8::is_ascii_alphabetic);
    let others = bytes
        .iter()
        .any(|b| b.is_ascii_digit() || (b.is_ascii_punctuation() && !matches!(b, b'_' | b'.' | b'-' | b'/' | b':')));
    if !letters || !others || is_placeholder(bytes) || entropy(bytes) < 2.5 {
        return Some(false);
    }
    Some(!is_code(span)?)
}

/// A key written after its name: digits and letters mixed at random, no placeholder, no code.
pub(super) fn key(span: &Span<'_>) -> Option<bool> {
    let bytes = span.bytes();
    if !is_mixed(bytes) || is_placeholder(bytes) || entropy(bytes) < 3.0 {
        return Some(false);
    }
    Some(!is_code(span)?)
}

/// At least two digits and three letters that are not all alike.
pub(super) fn is_mixed(bytes: &[u8]) -> bool {
    let digits = bytes.iter().filter(|b| b.is_ascii_digit()).count();
    let letters = bytes.iter().filter(|b| b.is_ascii_alphabetic()).count();
    digits >= 2 && letters >= 3 && entropy(bytes) >= 2.5
}

/// A JSON Web Token: its header is base64url of `{"…` (RFC 7519, RFC 7515 section 3).
pub(super) fn jwt(bytes: &[u8]) -> bool {
    let parts: Vec<&[u8]> = bytes.split(|&b| b == b'.').collect();
    parts.len() >= 3 && parts.first().is_some_and(|head| head.starts_with(b"eyJ") && is_mixed(head))
}

/// Endings of domain names: the country codes and the common generic ones, with the reserved ones of RFC 2606.
const GENERIC: &[&str] = &[
    "com",
    "org",
    "net",
    "edu",
    "gov",
    "mil",
    "int",
    "info",
    "biz",
    "name",
    "pro",
    "aero",
    "coop",
    "museum",
    "jobs",
    "mobi",
    "travel",
    "tel",
    "cat",
    "asia",
    "post",
    "xxx",
    "app",
    "dev",
    "page",
    "blog",
    "shop",
    "store",
    "online",
    "site",
    "website",
    "tech",
    "cloud",
    "email",
    "mail",
    "digital",
    "agency",
    "company",
    "group",
    "team",
    "work",
    "works",
    "world",
    "global",
    "life",
    "live",
    "news",
    "media",
    "software",
    "systems",
    "solutions",
    "services",
    "support",
    "network",
    "host",
    "space",
    "studio",
    "design",
    "art",
    "club",
    "top",
    "xyz",
    "vip",
    "win",
    "icu",
    "link",
    "click",
    "fun",
    "games",
    "health",
    "care",
    "clinic",
    "dental",
    "doctor",
    "hospital",
    "law",
    "legal",
    "bank",
    "finance",
    "money",
    "capital",
    "insurance",
    "london",
    "berlin",
    "paris",
    "nyc",
    "tokyo",
    "eu",
    "africa",
    "lat",
    "academy",
    "school",
    "university",
    "education",
    "science",
    "engineering",
    "consulting",
    "ventures",
    "energy",
    "earth",
    "green",
    "house",
    "homes",
    "restaurant",
    "hotel",
    "church",
    "foundation",
    "institute",
    "international",
    "ngo",
    "ong",
    "example",
    "test",
    "invalid",
    "localhost",
    "local",
    "internal",
    "corp",
    "lan",
    "home",
];

/// Two-letter endings in use (ISO 3166-1 alpha-2 as delegated), without those that are better known as file endings.
const COUNTRIES: &str = "ac ad ae af ag ai al am ao aq ar as at au aw ax az ba bb bd be bf bg bh bi bj bm bn bo br bs bt bw by bz ca cc cd cf cg ch ci ck cl cm cn co cr cu cv cw cx cy cz de dj dk dm do dz ec ee eg er es et eu fi fj fk fm fo fr ga gb gd ge gf gg gh gi gl gm gn gp gq gr gs gt gu gw gy hk hm hn hr ht hu id ie il im in io iq ir is it je jm jo jp ke kg kh ki km kn kp kr kw ky kz la lb lc li lk lr ls lt lu lv ly ma mc md me mg mh mk ml mm mn mo mp mq mr ms mt mu mv mw mx my mz na nc ne nf ng ni nl no np nr nu nz om pa pe pf pg ph pk pl pm pn pr ps pt pw py qa re ro rs ru rw sa sb sc sd se sg sh si sk sl sm sn so sr ss st su sv sx sy sz tc td tf tg th tj tk tl tm tn to tr tt tv tw tz ua ug uk us uy uz va vc ve vg vi vn vu wf ws ye yt za zm zw";

/// An address whose domain ends in a known way, and which is no clone URL or package version.
pub(super) fn email(span: &Span<'_>) -> bool {
    let bytes = span.bytes();
    let Some(at) = memchr::memchr(b'@', bytes) else { return false };
    let (local, domain) = bytes.split_at(at);
    let ending = domain.rsplit(|&b| b == b'.').next().unwrap_or_default().to_ascii_lowercase();
    let ending = std::str::from_utf8(&ending).unwrap_or_default();
    let known = GENERIC.contains(&ending) || (ending.len() == 2 && COUNTRIES.split(' ').any(|c| c == ending));
    known && !is_userinfo(span) && local != b"git" && !local.starts_with(b".") && !local.ends_with(b".")
}

/// Bytes before an address in which `://` is looked for.
const USERINFO_BYTES_MAX: usize = 64;

/// Whether `://` and nothing but a user's name stands before: `https://org@host`, `https://user:pass@host`.
fn is_userinfo(span: &Span<'_>) -> bool {
    let is_name = |b: &u8| b.is_ascii_graphic() && !matches!(b, b'/' | b'?' | b'#' | b'=' | b'&' | b'"' | b'<' | b'>');
    let name = (1..=USERINFO_BYTES_MAX).map_while(|n| span.before(n).filter(is_name)).count();
    [b'/', b'/', b':'].iter().zip(1..).all(|(&byte, n)| span.before(name + n) == Some(byte))
}
