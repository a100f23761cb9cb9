//! Constants and unrolled loops in WGSL: compilers of shaders do not all unroll, and an array that is indexed by a variable does not
//! stay in registers.
//!
//! - `{NAME}` is a constant, `{i+2*NAME}` a sum of products of constants, loop variables and numbers.
//! - The lines between `#for i FIRST END` and `#end` are repeated for i from FIRST up to, not including, END. Loops may be nested.
//! - The lines between `#piece NAME` and `#end` stand where `#put NAME` follows: several kernels unroll them over variables of their own,
//!   which no function could name.

/// Names and their values, the innermost last.
type Values<'a> = Vec<(&'a str, u32)>;

/// `source` with `constants` put in and loops unrolled.
///
/// # Panics
/// When the source is not well formed: it is part of the program.
pub fn expand(source: &str, constants: &[(&str, u32)]) -> String {
    let lines = with_pieces(source);
    let mut out = String::with_capacity(source.len());
    let rest = lines_until_end(&lines, &mut constants.to_vec(), true, &mut out);
    assert_eq!(rest, lines.len(), "`#end` without `#for`");
    out
}

/// The lines of `source`, with its pieces where they are put.
fn with_pieces(source: &str) -> Vec<&str> {
    let (mut pieces, mut out) = (Vec::new(), Vec::new());
    let mut lines = source.lines();
    while let Some(line) = lines.next() {
        match line.split_whitespace().collect::<Vec<_>>()[..] {
            ["#piece", name] => {
                let mut depth = 1;
                let within = |line: &&str| {
                    match line.split_whitespace().next() {
                        Some("#for") => depth += 1,
                        Some("#end") => depth -= 1,
                        _ => {}
                    }
                    depth > 0
                };
                let piece: Vec<&str> = lines.by_ref().take_while(within).collect();
                pieces.push((name, piece));
            }
            ["#put", name] => {
                let piece = pieces.iter().find(|(own, _)| *own == name);
                out.extend(&piece.unwrap_or_else(|| panic!("no piece is named `{name}`")).1);
            }
            _ => out.push(line),
        }
    }
    out
}

/// Expands lines up to the `#end` of their loop; how many they are, with it.
fn lines_until_end<'a>(lines: &[&'a str], values: &mut Values<'a>, write: bool, out: &mut String) -> usize {
    let mut at = 0;
    while let Some(&line) = lines.get(at) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["#for", name, first, end] => {
                let range = if write { value(first, values)..value(end, values) } else { 0..0 };
                let body = &lines[at + 1..];
                let mut length = None;
                for n in range {
                    values.push((name, n));
                    length = Some(lines_until_end(body, values, write, out));
                    values.pop();
                }
                at += 1 + length.unwrap_or_else(|| lines_until_end(body, values, false, out));
            }
            ["#end"] => return at + 1,
            _ => {
                if write {
                    push_line(line, values, out);
                }
                at += 1;
            }
        }
    }
    at
}

fn push_line(line: &str, values: &Values<'_>, out: &mut String) {
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        // A brace of WGSL ends its line, or has spaces in it.
        match after.split_once('}') {
            Some((expression, after)) if is_expression(expression) => {
                out.push_str(&value(expression, values).to_string());
                rest = after;
            }
            _ => {
                out.push('{');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out.push('\n');
}

fn is_expression(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '+' | '*'))
}

fn value(expression: &str, values: &Values<'_>) -> u32 {
    let factor = |word: &str| {
        let named = values.iter().rev().find(|(name, _)| *name == word).map(|(_, value)| *value);
        named.or_else(|| word.parse().ok()).unwrap_or_else(|| panic!("`{word}` in `{expression}` is no constant"))
    };
    expression.split('+').map(|product| product.split('*').map(factor).product::<u32>()).sum()
}

#[cfg(test)]
mod tests {
    use super::expand;

    #[test]
    fn loops_are_unrolled_and_expressions_put_in() {
        let source = "a\n#for i 0 N\nlet x{i} = {2*i+N}u; // {\n#for k 1 3\n{i}{k}\n#end\n#end\nfn f() { }";
        let expected = "a\nlet x0 = 2u; // {\n01\n02\nlet x1 = 4u; // {\n11\n12\nfn f() { }\n";
        assert_eq!(expand(source, &[("N", 2)]), expected);
        assert_eq!(expand("#for i 0 0\nlet {UNKNOWN};\n#for j 0 2\n#end\n#end\nb", &[]), "b\n");
    }

    #[test]
    fn a_piece_stands_where_it_is_put_and_nowhere_else() {
        let source = "#piece sum\n#for i 0 2\ns += x{i};\n#end\nr{n} = s;\n#end\na\n#for n 1 3\n  #put sum\n#end\nb";
        let sum = |n: usize| format!("s += x0;\ns += x1;\nr{n} = s;\n");
        assert_eq!(expand(source, &[]), format!("a\n{}{}b\n", sum(1), sum(2)));
    }

    #[test]
    #[should_panic(expected = "no piece is named `sum`")]
    fn an_unknown_piece_is_an_error() {
        expand("#put sum\n#piece sum\n#end", &[]);
    }

    #[test]
    #[should_panic(expected = "`M` in `M` is no constant")]
    fn an_unknown_constant_is_an_error() {
        expand("{M}", &[]);
    }
}
