//! Patterns of `LIKE`: `%` is any run of characters, `_` is one, `\%` and `\_` are themselves.
//!
//! **Why.** Patterns come from whoever deploys and texts from whoever publishes; together they must
//! not be able to keep a core busy. So nothing here goes back and tries again.
//!
//! **How.** A pattern is cut at its `%` into segments. The first and last are compared in place; each
//! other one is taken where it is found first, which is right since what is between may be anything.
//! Plain segments are found by the standard library's linear search; those with `_` by Shift-And
//! (Baeza-Yates and Gonnet, 1992): one step for each character and 64 elements of the segment.

/// Elements that one word of a [`Mask`] holds.
const WORD: usize = 64;

/// A pattern, ready to be compared.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    segments: Vec<Segment>,
    /// There is no `%` before the first segment, or after the last.
    starts: bool,
    ends: bool,
}

#[derive(Clone, Debug)]
enum Segment {
    Plain(String),
    /// With `_`, which is `None`.
    Mixed {
        elements: Vec<Option<char>>,
        mask: Mask,
    },
}

/// For Shift-And: bit `n` of the elements' words is set for those characters that element `n` takes.
#[derive(Clone, Debug)]
struct Mask {
    words: usize,
    /// Elements that take every character.
    wild: Vec<u64>,
    /// For every character of the segment, its words that are not 0; both sorted.
    characters: Vec<(char, Vec<(usize, u64)>)>,
}

impl Pattern {
    /// Understands a pattern; there is none that is wrong.
    pub(super) fn new(pattern: &str) -> Self {
        let mut segments: Vec<Vec<Option<char>>> = vec![Vec::new()];
        let mut characters = pattern.chars().peekable();
        while let Some(character) = characters.next() {
            let element = match character {
                '%' => {
                    segments.push(Vec::new());
                    continue;
                }
                '_' => None,
                '\\' => Some(characters.next_if(|next| matches!(next, '%' | '_')).unwrap_or('\\')),
                other => Some(other),
            };
            if let Some(segment) = segments.last_mut() {
                segment.push(element);
            }
        }
        let any = segments.len() > 1;
        let starts = !any || segments.first().is_some_and(|segment| !segment.is_empty());
        let ends = !any || segments.last().is_some_and(|segment| !segment.is_empty());
        // Without `%` an empty segment means something: the empty text.
        segments.retain(|segment| !any || !segment.is_empty());
        Self { segments: segments.into_iter().map(Segment::new).collect(), starts, ends }
    }

    /// Whether the whole text is as the pattern says.
    pub(super) fn matches(&self, text: &str) -> bool {
        self.matches_counted(text, &mut 0)
    }

    /// Counts the steps, which are at most the text's length for each 64 elements of the pattern.
    fn matches_counted(&self, text: &str, steps: &mut usize) -> bool {
        let (mut segments, mut text) = (self.segments.as_slice(), text);
        if let ([segment], true, true) = (segments, self.starts, self.ends) {
            return segment.prefix(text, steps) == Some(text.len());
        }
        if self.starts
            && let Some((first, rest)) = segments.split_first()
        {
            let Some(length) = first.prefix(text, steps) else { return false };
            (segments, text) = (rest, &text[length..]);
        }
        if self.ends
            && let Some((last, rest)) = segments.split_last()
        {
            let Some(length) = last.suffix(text, steps) else { return false };
            (segments, text) = (rest, &text[..text.len() - length]);
        }
        for segment in segments {
            let Some(end) = segment.find(text, steps) else { return false };
            text = &text[end..];
        }
        true
    }
}

impl Segment {
    fn new(elements: Vec<Option<char>>) -> Self {
        match elements.iter().copied().collect::<Option<String>>() {
            Some(text) => Segment::Plain(text),
            None => Segment::Mixed { mask: Mask::new(&elements), elements },
        }
    }

    /// The bytes that it takes at the text's begin.
    fn prefix(&self, text: &str, steps: &mut usize) -> Option<usize> {
        match self {
            Segment::Plain(plain) => {
                *steps += plain.len();
                text.starts_with(plain.as_str()).then_some(plain.len())
            }
            Segment::Mixed { elements, .. } => {
                *steps += elements.len();
                let mut characters = text.chars();
                elements.iter().all(|element| takes(*element, characters.next())).then_some(())?;
                Some(text.len() - characters.as_str().len())
            }
        }
    }

    /// The bytes that it takes at the text's end.
    fn suffix(&self, text: &str, steps: &mut usize) -> Option<usize> {
        match self {
            Segment::Plain(plain) => {
                *steps += plain.len();
                text.ends_with(plain.as_str()).then_some(plain.len())
            }
            Segment::Mixed { elements, .. } => {
                *steps += elements.len();
                let mut characters = text.chars();
                elements.iter().rev().all(|element| takes(*element, characters.next_back())).then_some(())?;
                Some(text.len() - characters.as_str().len())
            }
        }
    }

    /// Where it ends when it is taken as early as possible.
    fn find(&self, text: &str, steps: &mut usize) -> Option<usize> {
        match self {
            Segment::Plain(plain) => {
                let found = text.find(plain.as_str());
                *steps += found.unwrap_or(text.len());
                found.map(|at| at + plain.len())
            }
            Segment::Mixed { elements, mask } => mask.find(text, elements.len(), steps),
        }
    }
}

/// Whether an element takes a character.
fn takes(element: Option<char>, character: Option<char>) -> bool {
    character.is_some() && (element.is_none() || element == character)
}

impl Mask {
    fn new(elements: &[Option<char>]) -> Self {
        let words = elements.len().div_ceil(WORD);
        let mut mask = Self { words, wild: vec![0; words], characters: Vec::new() };
        let mut bits: Vec<(char, usize)> = Vec::new();
        for (at, element) in elements.iter().enumerate() {
            match element {
                Some(character) => bits.push((*character, at)),
                None => mask.wild[at / WORD] |= 1 << (at % WORD),
            }
        }
        bits.sort_unstable();
        for (character, at) in bits {
            if mask.characters.last().is_none_or(|(last, _)| *last != character) {
                mask.characters.push((character, Vec::new()));
            }
            let Some((_, words)) = mask.characters.last_mut() else { continue };
            match words.last_mut() {
                Some((word, bits)) if *word == at / WORD => *bits |= 1 << (at % WORD),
                _ => words.push((at / WORD, 1 << (at % WORD))),
            }
        }
        mask
    }

    /// Where the first place ends at which all elements take the text's characters. Bit `n` of the state
    /// says that the elements up to `n` have taken the characters up to here.
    fn find(&self, text: &str, elements: usize, steps: &mut usize) -> Option<usize> {
        let mut state = vec![0u64; self.words];
        let (last, bit) = ((elements - 1) / WORD, 1 << ((elements - 1) % WORD));
        for (at, character) in text.char_indices() {
            *steps += self.words;
            let found = self.characters.binary_search_by_key(&character, |(known, _)| *known);
            let mut own = found.map_or(&[][..], |at| self.characters[at].1.as_slice()).iter().peekable();
            let mut carry = 1;
            for (word, bits) in state.iter_mut().enumerate() {
                let taken = own.next_if(|(at, _)| *at == word).map_or(0, |(_, bits)| *bits);
                let next = *bits >> (WORD - 1);
                *bits = ((*bits << 1) | carry) & (self.wild[word] | taken);
                carry = next;
            }
            if state[last] & bit != 0 {
                return Some(at + character.len_utf8());
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn hostile_patterns_take_few_steps() {
        let text = "a".repeat(32 << 10);
        for (pattern, words) in [
            ("%a".repeat(4096) + "b", 1),
            ("%".repeat(8000) + "b%", 1),
            ("%a_".repeat(2700) + "%b%", 1),
            (format!("%{}b%", "a".repeat(8000)), 1),
            (format!("%{}_b%", "a".repeat(8000)), 126),
            (format!("%{}b%", "_a".repeat(4000)), 126),
            ("_".repeat(8000), 1),
            ("%_".repeat(4000), 1),
        ] {
            let mut steps = 0;
            Pattern::new(&pattern).matches_counted(&text, &mut steps);
            let most = (text.len() + pattern.len()) * words;
            assert!(steps <= most, "{}…: {steps} steps, {most} expected", &pattern[..8]);
        }
    }

    /// As `LIKE` is defined, with all the time in the world.
    fn defined(pattern: &[char], text: &[char]) -> bool {
        match (pattern, text) {
            ([], text) => text.is_empty(),
            (['%', rest @ ..], text) => (0..=text.len()).any(|skip| defined(rest, &text[skip..])),
            (['\\', next @ ('%' | '_'), rest @ ..], [c, left @ ..]) => c == next && defined(rest, left),
            (['\\', '%' | '_', ..], []) => false,
            ([p, rest @ ..], [c, left @ ..]) => (*p == '_' || p == c) && defined(rest, left),
            (_, []) => false,
        }
    }

    #[test]
    fn short_patterns_and_texts_are_compared_as_defined() {
        let mut seed = 0x2545_f491_4f6c_dd1d_u64;
        let mut pick = |letters: &str, most: u64| -> String {
            let mut next = || {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                seed
            };
            let letters: Vec<char> = letters.chars().collect();
            let length = next() % (most + 1);
            (0..length).map(|_| letters[usize::try_from(next() % letters.len() as u64).unwrap()]).collect()
        };
        let (mut taken, mut refused) = (0, 0);
        for _ in 0..20_000 {
            let (pattern, text) = (pick("ab%_é\\%_", 7), pick("abé%_\\", 6));
            let characters = |text: &str| text.chars().collect::<Vec<char>>();
            let expected = defined(&characters(&pattern), &characters(&text));
            assert_eq!(Pattern::new(&pattern).matches(&text), expected, "{text:?} LIKE {pattern:?}");
            if expected { taken += 1 } else { refused += 1 }
        }
        assert!(taken > 500 && refused > 500, "both outcomes are seen: {taken}, {refused}");
    }

    #[test]
    fn segments_longer_than_a_word_are_found() {
        for length in [63, 64, 65, 127, 128, 129, 300] {
            let segment = format!("{}_{}", "x".repeat(length / 2), "y".repeat(length - length / 2 - 1));
            let pattern = Pattern::new(&format!("%{segment}%"));
            let inside = segment.replace('_', "é");
            assert!(pattern.matches(&format!("xx{inside}yy")), "{length}");
            assert!(!pattern.matches(&format!("xx{}yy", inside.replacen("xé", "yé", 1))), "{length}");
        }
    }
}
