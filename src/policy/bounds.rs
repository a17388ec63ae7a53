//! Bounds on a rule's shape, checked before Cedar reads it: its parser and validator recurse, and a rule nested twenty
//! thousand deep would end the process instead of being refused.

use super::fault::PolicyFault;

/// Brackets of one rule inside each other.
const NESTING_MAX: usize = 32;

/// Words of one rule that may put an expression inside another without brackets: operators, dots, `if`.
const JOINTS_MAX: usize = 256;

/// The first rule of a text that is over a bound.
pub(crate) fn check(file: &str, text: &str) -> Option<PolicyFault> {
    let (mut nesting, mut joints) = (0usize, 0usize);
    let mut rest = text.char_indices().peekable();
    let mut word = String::new();
    while let Some((at, c)) = rest.next() {
        joints += usize::from(!c.is_alphanumeric() && word == "if");
        match c {
            c if c.is_alphanumeric() || c == '_' => {
                word.push(c);
                continue;
            }
            '"' => {
                while let Some((_, c)) = rest.next() {
                    match c {
                        '\\' => drop(rest.next()),
                        '"' => break,
                        _ => {}
                    }
                }
            }
            '/' if rest.peek().is_some_and(|(_, next)| *next == '/') => {
                while rest.next_if(|(_, c)| *c != '\n').is_some() {}
            }
            '(' | '[' | '{' => nesting += 1,
            ')' | ']' | '}' => nesting = nesting.saturating_sub(1),
            ';' => (nesting, joints) = (0, 0),
            '&' | '|' | '+' | '-' | '*' | '.' | '!' => joints += 1,
            _ => {}
        }
        word.clear();
        if nesting > NESTING_MAX {
            return Some(PolicyFault::at(
                file,
                text,
                at,
                format!("more than {NESTING_MAX} brackets inside each other"),
            ));
        }
        if joints > JOINTS_MAX {
            let message = format!("more than {JOINTS_MAX} operators, dots and `if`s in one rule: split it");
            return Some(PolicyFault::at(file, text, at, message));
        }
    }
    None
}
