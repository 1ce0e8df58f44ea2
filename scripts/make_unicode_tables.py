"""Writes Sources/CApusUnicode: the Unicode data that tokenisation needs, as Python `tokenizers` sees it.

Identical ids need identical tables, and the Rust crates behind `tokenizers` each carry their own Unicode version. So
nearly everything here is probed from the installed package over all code points; only the grapheme break properties
come from a release of the `regex` module that has Unicode 17, as the segmentation of that `tokenizers` has.

Usage: python scripts/make_unicode_tables.py     (needs: pip install tokenizers==0.23.3 regex==2025.11.3)
"""
import pathlib
import sys
import unicodedata
from importlib.metadata import version

import regex
from tokenizers import Regex, normalizers, pre_tokenizers

ROOT = pathlib.Path(__file__).resolve().parent.parent / "Sources" / "CApusUnicode"
ALL = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
TEXT = "".join(map(chr, ALL))
SEPARATOR = "\x01"

CATEGORIES = ["Cn", "Cc", "Cf", "Cs", "Co", "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No",
              "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sm", "Sc", "Sk", "So", "Zs", "Zl", "Zp"]
BREAKS = ["Other", "CR", "LF", "Control", "Extend", "ZWJ", "Regional_Indicator", "Prepend", "SpacingMark",
          "L", "V", "T", "LV", "LVT"]
PICTOGRAPHIC = len(BREAKS)
SCRIPTS = ["Arabic", "Armenian", "Bengali", "Cyrillic", "Devanagari", "Georgian", "Greek", "Han", "Hangul", "Hebrew",
           "Hiragana", "Katakana", "Khmer", "Lao", "Latin", "Myanmar", "Tamil", "Thai", "Tibetan"]


def removed(splitter, text=TEXT, stride=1, shift=0):
    """The code points whose characters `splitter` removes; character i * stride + shift stands for ALL[i]."""
    keep = bytearray(len(text))
    for _, (start, end) in splitter.pre_tokenize_str(text):
        keep[start:end] = b"\x01" * (end - start)
    return {ALL[i] for i in range(len(ALL)) if not keep[i * stride + shift]}


def matching(pattern):
    return removed(pre_tokenizers.Split(Regex(pattern), "removed"))


def mapping(normalizer):
    """What `normalizer` makes of each single character, where that is not the character."""
    pieces = normalizer.normalize_str(SEPARATOR.join(map(chr, ALL))).split(SEPARATOR)
    # Character 1 is the separator itself and yields two empty pieces in place of one character.
    position = ALL.index(1)
    assert pieces[position] == "" and pieces[position + 1] == ""
    del pieces[position]
    pieces[position] = SEPARATOR
    assert len(pieces) == len(ALL)
    return {c: p for c, p in zip(ALL, pieces) if p != chr(c)}


def pieces_between_letters(splitter):
    """For each code point: 'gone', 'alone' or 'joined' when it stands between two letters."""
    text = "a" + "".join(chr(c) + "a" for c in ALL)
    state = bytearray(len(text))
    for _, (start, end) in splitter.pre_tokenize_str(text):
        if end - start == 1:
            state[start] = 1
        else:
            state[start:end] = b"\x02" * (end - start)
    return {c: state[1 + 2 * i] for i, c in enumerate(ALL)}


def combining_classes(nfd):
    """Canonical combining classes, from the order in which NFD puts two marks."""
    # U+0345 has the highest class; every other mark moves in front of it.
    top = chr(0x345)
    joined = nfd.normalize_str(SEPARATOR.join("a" + top + chr(c) for c in ALL)).split(SEPARATOR)
    position = ALL.index(1)
    joined[position:position + 2] = ["a" + top + SEPARATOR]
    marks = [c for c, p in zip(ALL, joined) if p == "a" + chr(c) + top and chr(c) != top]
    # One reference for each class, of the marks that the package knows as such.
    references = {}
    for c in marks:
        references.setdefault(unicodedata.combining(chr(c)), chr(c))
    references.pop(0, None)

    def before(x, y):
        return nfd.normalize_str("a" + y + x) == "a" + x + y and nfd.normalize_str("a" + x + y) == "a" + x + y

    swapped = {c: max(k for k, r in references.items() if chr(c) == r or not before(chr(c), r)) for c in marks}
    swapped[ord(top)] = 240
    return swapped


def main():
    nfd, nfc = normalizers.NFD(), normalizers.NFC()
    canonical = mapping(nfd)
    compatible = mapping(normalizers.NFKD())
    lower = mapping(normalizers.Lowercase())
    hangul = set(range(0xAC00, 0xAC00 + 11172))
    assert hangul <= set(canonical) and hangul <= set(compatible)

    compositions = {}
    for c, sequence in canonical.items():
        if c in hangul or nfc.normalize_str(chr(c)) != chr(c):
            continue
        first = nfc.normalize_str(sequence[:-1])
        assert len(first) == 1 and nfc.normalize_str(first + sequence[-1]) == chr(c), hex(c)
        compositions[(ord(first), ord(sequence[-1]))] = c

    category = dict.fromkeys(ALL, 0)
    for index, name in enumerate(CATEGORIES):
        if name not in ("Cn", "Cs"):
            for c in matching(r"\p{%s}" % name):
                category[c] = index
    words = pieces_between_letters(pre_tokenizers.Whitespace())
    numeric = pieces_between_letters(pre_tokenizers.Digits(individual_digits=True))
    cleaned = normalizers.BertNormalizer(True, False, False, False).normalize_str(
        "\u4e00".join(map(chr, ALL))).split("\u4e00")
    position = ALL.index(0x4E00)
    cleaned[position:position + 2] = ["\u4e00"]
    assert len(cleaned) == len(ALL)
    control = {c for c, p in zip(ALL, cleaned) if p == ""}
    nonspacing = {c for c, p in mapping(normalizers.BertNormalizer(False, False, True, False)).items() if p == ""}
    bits = {
        5: removed(pre_tokenizers.WhitespaceSplit()),
        6: {c for c, s in numeric.items() if s == 1},
        7: removed(pre_tokenizers.Punctuation("removed")),
        8: control,
        9: nonspacing,
        10: {c for c, p in mapping(normalizers.StripAccents()).items() if p == ""},
        11: {c for c, s in words.items() if s == 2},
        12: {c for c, s in words.items() if s == 0},
        13: matching(r"\s"),
        14: matching(r"\w"),
        15: set(lower),
        30: set(canonical),
        31: set(compatible),
    }
    classes = combining_classes(nfd)
    record = dict(category)
    for bit, members in bits.items():
        for c in members:
            record[c] |= 1 << bit

    def assign(pattern, shift, value):
        for m in regex.finditer(pattern, TEXT):
            for ch in m.group():
                record[ord(ch)] |= value << shift

    for index, name in enumerate(BREAKS):
        if index:
            assign(r"\p{GCB=%s}+" % name, 16, index)
    for m in regex.finditer(r"\p{Extended_Pictographic}+", TEXT):
        for ch in m.group():
            if (record[ord(ch)] >> 16) & 15 == 0:
                record[ord(ch)] |= PICTOGRAPHIC << 16
    for value, name in enumerate(["Linker", "Consonant", "Extend"], 1):
        assign(r"\p{InCB=%s}+" % name, 20, value)
    for c, k in classes.items():
        record[c] |= k << 22

    scripts = []
    for name in SCRIPTS:
        members = sorted(matching(r"\p{%s}" % name))
        ranges = []
        for c in members:
            if ranges and ranges[-1][1] + 1 == c:
                ranges[-1][1] = c
            else:
                ranges.append([c, c])
        scripts.append((name, ranges))

    records = sorted(set(record.values()))
    index_of = {r: i for i, r in enumerate(records)}
    fallback = index_of[0]
    flat = [index_of[record[c]] if c in record else fallback for c in range(0x110000)]
    pages, page_of, stage1 = [], {}, []
    for start in range(0, 0x110000, 128):
        page = tuple(flat[start:start + 128])
        if page not in page_of:
            page_of[page] = len(pages)
            pages.append(page)
        stage1.append(page_of[page])
    assert len(records) <= 65536 and len(pages) <= 65536
    write(records, pages, stage1, canonical, compatible, lower, compositions, hangul, scripts)
    print(f"{len(records)} records, {len(pages)} pages, {len(canonical)} canonical, {len(compatible)} compatible, "
          f"{len(lower)} lower, {len(compositions)} compositions", file=sys.stderr)


def write(records, pages, stage1, canonical, compatible, lower, compositions, hangul, scripts):
    sources = (f"Python tokenizers {version('tokenizers')} (all properties and mappings, by probing) and "
               f"regex {version('regex')} (grapheme breaks)")
    out = [f"// Generated by scripts/make_unicode_tables.py from {sources}.", "// Do not edit.", "",
           '#include "CApusUnicode.h"', ""]

    def array(kind, name, values, per_line=24):
        values = list(values)
        out.append(f"static const {kind} {name}[{len(values)}] = {{")
        for start in range(0, len(values), per_line):
            out.append(",".join(map(str, values[start:start + per_line])) + ",")
        out.extend(["};", ""])

    array("uint32_t", "records", records, 10)
    array("uint16_t", "page_index", stage1)
    array("uint8_t" if len(records) <= 256 else "uint16_t", "pages", (v for page in pages for v in page))

    def mapping_tables(name, table):
        keys = sorted(c for c in table if c not in hangul)
        offsets, scalars = [0], []
        for c in keys:
            scalars.extend(map(ord, table[c]))
            offsets.append(len(scalars))
        array("uint32_t", f"{name}_keys", keys, 16)
        array("uint16_t", f"{name}_offsets", offsets)
        array("uint32_t", f"{name}_scalars", scalars, 16)
        return len(keys)

    counts = {n: mapping_tables(n, t) for n, t in
              [("canonical", canonical), ("compatible", compatible), ("lower", lower)]}
    pairs = sorted(compositions.items())
    array("uint64_t", "composition_keys", ((a << 32) | b for (a, b), _ in pairs), 8)
    array("uint32_t", "composition_values", (c for _, c in pairs), 16)
    flat_ranges, starts = [], [0]
    for _, ranges in scripts:
        for low, high in ranges:
            flat_ranges += [low, high]
        starts.append(len(flat_ranges))
    array("uint32_t", "script_ranges", flat_ranges, 16)
    out.append("static const apus_unicode_script scripts[] = {")
    for (name, _), start, end in zip(scripts, starts, starts[1:]):
        out.append(f'    {{"{name}", script_ranges + {start}, {(end - start) // 2}}},')
    out.extend(["};", "", "static const apus_unicode_tables tables = {",
                "    records, page_index, pages,"])
    for name in ("canonical", "compatible", "lower"):
        out.append(f"    {{{name}_keys, {name}_offsets, {name}_scalars, {counts[name]}}},")
    out.extend([f"    composition_keys, composition_values, {len(pairs)},",
                f"    scripts, {len(scripts)},", "};", "",
                "const apus_unicode_tables *apus_unicode(void) { return &tables; }", ""])
    (ROOT / "tables.c").write_text("\n".join(out))
    index_type = "uint8_t" if len(records) <= 256 else "uint16_t"
    (ROOT / "include" / "CApusUnicode.h").write_text(HEADER % (sources, index_type))


HEADER = """// Generated by scripts/make_unicode_tables.py from %s.
// Do not edit.
//
// Constant Unicode tables in C, because a C compiler takes them in an instant and a Swift compiler does not.

#ifndef CAPUSUNICODE_H
#define CAPUSUNICODE_H

#include <stdint.h>

#pragma clang assume_nonnull begin

/// Scalars to sequences of scalars: the sequence of keys[i] is scalars[offsets[i] ..< offsets[i + 1]]; keys ascend.
typedef struct {
    const uint32_t *keys;
    const uint16_t *offsets;
    const uint32_t *scalars;
    uint32_t count;
} apus_unicode_mapping;

/// A script by its Unicode name; ranges holds count pairs of first and last scalar.
typedef struct {
    const char *name;
    const uint32_t *ranges;
    uint32_t count;
} apus_unicode_script;

/// records[pages[page_index[c >> 7] * 128 + (c & 127)]] describes scalar c:
/// bits 0-4 general category, 5 white space, 6 numeric, 7 punctuation, 8 control (BERT), 9 non-spacing mark (BERT),
/// 10 combining mark, 11 and 12 \\w and \\s of added tokens, 13 and 14 \\s and \\w of patterns, 15 has a lower case,
/// 16-19 grapheme break, 20-21 Indic conjunct break, 22-29 canonical combining class,
/// 30 and 31 has a canonical, a compatibility decomposition.
typedef struct {
    const uint32_t *records;
    const uint16_t *page_index;
    const %s *pages;
    apus_unicode_mapping canonical;
    apus_unicode_mapping compatible;
    apus_unicode_mapping lower;
    /// Pairs (first << 32 | second), ascending, and what they compose to. Hangul is left to arithmetic.
    const uint64_t *composition_keys;
    const uint32_t *composition_values;
    uint32_t composition_count;
    const apus_unicode_script *scripts;
    uint32_t script_count;
} apus_unicode_tables;

const apus_unicode_tables *apus_unicode(void);

#pragma clang assume_nonnull end

#endif
"""

if __name__ == "__main__":
    main()
