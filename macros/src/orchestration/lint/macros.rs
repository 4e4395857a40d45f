//! The contents of macro invocations.

use proc_macro2::{Delimiter, Ident, TokenStream, TokenTree};
use syn::ext::IdentExt;
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::visit::Visit;
use syn::{Block, Expr, Token};

use super::{Lint, escape, paths};

impl Lint {
    /// Checks the invocation of a macro: its name and its tokens.
    pub(super) fn invocation(&mut self, segments: &[String], name: TokenStream, tokens: &TokenStream) {
        let is_select = segments.last().is_some_and(|last| last == "select");
        if is_select && !is_biased(tokens) {
            self.push(name, format!("`{}!` {}", segments.join("::"), paths::UNBIASED));
        } else if !is_select && let Some(advice) = paths::judge(segments).or_else(|| paths::judge_macro(segments)) {
            self.push(name, format!("`{}!` {advice}", segments.join("::")));
        }
        self.tokens(tokens.clone());
    }

    /// Checks tokens with the grammar of a macro. Many macros take statements or expressions.
    fn tokens(&mut self, tokens: TokenStream) {
        if let Ok(statements) = Block::parse_within.parse2(tokens.clone()) {
            for statement in &statements {
                self.visit_stmt(statement);
            }
        } else if let Ok(list) = Punctuated::<Expr, Token![,]>::parse_terminated.parse2(tokens.clone()) {
            for expression in &list {
                self.visit_expr(expression);
            }
        } else {
            self.trees(&tokens.into_iter().collect::<Vec<_>>());
        }
    }

    /// Checks paths, calls and invocations in tokens without a known grammar.
    fn trees(&mut self, trees: &[TokenTree]) {
        let mut at = 0;
        while let Some(tree) = trees.get(at) {
            let behind = &trees[at + 1..];
            at += match tree {
                TokenTree::Punct(pound) if pound.as_char() == '#' => 1 + allowed(behind),
                TokenTree::Ident(name) if is_method(&trees[..at]) => {
                    if matches!(behind, [TokenTree::Group(group), ..] if group.stream().is_empty()) {
                        self.method(name);
                    }
                    1
                }
                TokenTree::Ident(_) => self.leading_path(&trees[at..]),
                TokenTree::Group(group) => {
                    self.tokens(group.stream());
                    1
                }
                _ => 1,
            };
        }
    }

    /// Checks the path at the start of the tokens, and returns the number of tokens that it consumed.
    fn leading_path(&mut self, trees: &[TokenTree]) -> usize {
        let path = path(trees);
        let length = path.len() * 3 - 2;
        let names: Vec<String> = path.iter().map(|name| name.unraw().to_string()).collect();
        let tokens: TokenStream = trees[..length].iter().cloned().collect();
        match (&trees[length..], &path[..]) {
            ([TokenTree::Punct(bang), TokenTree::Group(group), ..], _) if bang.as_char() == '!' => {
                self.invocation(&names, tokens, &group.stream());
                return length + 2;
            }
            ([TokenTree::Group(group), ..], [name]) if group.delimiter() == Delimiter::Parenthesis => self.call(name),
            (behind, [name]) if is_turbofish(behind) => self.call(name),
            _ => self.path(&names, tokens),
        }
        length
    }
}

/// Returns whether `select!` polls its branches in order.
fn is_biased(tokens: &TokenStream) -> bool {
    let mut tokens = tokens.clone().into_iter();
    matches!(
        (tokens.next(), tokens.next()),
        (Some(TokenTree::Ident(biased)), Some(TokenTree::Punct(end))) if biased == "biased" && end.as_char() == ';'
    )
}

/// Returns the path at the start of the tokens: names separated by `::`.
fn path(trees: &[TokenTree]) -> Vec<&Ident> {
    let mut names = Vec::new();
    let mut rest = trees;
    while let [TokenTree::Ident(name), behind @ ..] = rest {
        names.push(name);
        match behind {
            [a, b, next @ ..] if is_punct(a, ':') && is_punct(b, ':') => rest = next,
            _ => break,
        }
    }
    names
}

/// Returns whether a name after these tokens is that of a method or a field.
fn is_method(before: &[TokenTree]) -> bool {
    match before {
        [.., first, second] => is_punct(second, '.') && !is_punct(first, '.'),
        _ => false,
    }
}

/// Returns whether the generic arguments of a function follow.
fn is_turbofish(trees: &[TokenTree]) -> bool {
    matches!(trees, [a, b, c, ..] if is_punct(a, ':') && is_punct(b, ':') && is_punct(c, '<'))
}

/// Returns the number of tokens that an attribute allows, starting with its brackets: up to the apparent end of a
/// statement or a branch.
fn allowed(trees: &[TokenTree]) -> usize {
    let [TokenTree::Group(attribute), behind @ ..] = trees else {
        return 0;
    };
    if !escape::group_allows(attribute) {
        return 0;
    }
    let is_end = |tree: &TokenTree| match tree {
        TokenTree::Punct(punct) => matches!(punct.as_char(), ';' | ','),
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        _ => false,
    };
    1 + behind.iter().position(is_end).map_or(behind.len(), |end| end + 1)
}

fn is_punct(tree: &TokenTree, character: char) -> bool {
    matches!(tree, TokenTree::Punct(punct) if punct.as_char() == character)
}
