"""Texts that tokenizers are compared on: many scripts, emoji, odd white space, and seeded random Unicode."""
import random

MULTILINGUAL = [
    "The quick brown fox jumps over the lazy dog.",
    "He said: \"I can't, won't and shouldn't've\" -- isn't it? It's 3,141.59 or 1e-9!",
    "Ünïcödé Straße Ærøskøbing naïve café résumé coöperate fiancée Ångström",
    "cafe\u0301 nai\u0308ve A\u030angstro\u0308m e\u0323\u0302 e\u0302\u0323 \u1ec7 q\u0307\u0323 q\u0323\u0307",
    "Съешь же ещё этих мягких французских булок, да выпей чаю. ЁЖ ёж Йод",
    "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία. ΟΔΥΣΣΕΥΣ ὈΔΥΣΣΕΎΣ ᾳ ᾼ",
    "我能吞下玻璃而不伤身体。東京都に住んでいます。한국어 텍스트입니다. 각각",
    "カタカナ ｶﾀｶﾅ ガギグ ｶﾞ か\u3099 ﾊﾟ ㍿ ㌔ ① ② ⅓ ½ ﬁ ﬂ ﬃ ＡＢＣ１２３",
    "العَرَبِيَّة لغة جميلة. ١٢٣٤ ۱۲۳ ﷺ ﻻ",
    "עִבְרִית שלום עולם",
    "हिन्दी क्षि त्र ज्ञ श्री १२३ नमस्ते",
    "தமிழ் நி கோ ไทย ภาษาไทย กำ ພາສາລາວ བོད་སྐད་ မြန်မာ ខ្មែរ",
    "İstanbul ISPARTA ığdır ŞİİR ß ẞ ŉ ǰ ſ K Å Ω",
    "👍🏽 👨‍👩‍👧‍👦 🇫🇷🇩🇪🇯 ❤️ ©️ ☺︎ 🏳️‍🌈 #️⃣ 1️⃣ 🫠 🪿 \U0001fae9",
    "a\u200db\u200cc\u00add\u2060e\ufefff\u200bg\u180eh",
    " leading, trailing  and   inner    spaces \t tabs\tand\nnew\r\nlines\r\r\n\n  \n x ",
    "\u00a0no\u00a0break\u2003em\u3000ideographic\u2028line\u2029paragraph\u0085next\u1680ogham\u202fnarrow",
    "\x01\x02control\x07\x1b[0m\x7f\x80\x9f\ufffd\ufffe end",
    "mixed中文and英文with数字123and標點、，。！？（）「」",
    "http://example.com/path?query=1&b=2#frag user@mail.example +1 (555) 010-9999 $12.50 €3 £4 ¥5 50% 1/2",
    "def f(x):\n    return x ** 2  # comment\n\tif x == y: print(f\"{x!r}\")\n}\n\n\n",
    "CamelCaseWords snake_case_words kebab-case-words SCREAMING_SNAKE ABCdefGHI123abc456",
    "1 12 123 1234 12345 123456 1234567 12345678 1,234,567.89 ²³ ½ Ⅷ 〇 ௧ ꧑",
    "'s 't 're 've 'm 'll 'd 'S 'T 'RE 'VE 'M 'LL 'D '\u017f ' s don'T I'LL we'Re \u2019s",
    "[CLS] [SEP] [MASK] [UNK] [PAD] <s> </s> <unk> <pad> <mask> <|endoftext|> <|begin_of_text|> <0x41> ##ing ▁a",
    "a" * 130 + " " + "supercalifragilisticexpialidocious" * 3,
    "é" * 50 + " " + "\u0301" * 40 + " a" + "\u0302\u0323" * 20,
    "....!!!!????,,,,;;;;----____((((]]]]{{{}}}",
    "٠٫١ ५.५ π≈3.14159 ∑∏∫ √2 ∞ ≠ ≤ x² + y² = z² → ⇒ ∀x∃y",
    "ⓐⓑⓒ 𝕳𝖊𝖑𝖑𝖔 𝓌𝑜𝓇𝓁𝒹 ﾊﾛｰ ʰᵉˡˡᵒ Ǆ ǅ ǆ",
    "ᄀ ᅡ ᆨ 각 ᄀ각ᆨ 각 한글 ᄒᆞᆫ글",
    "\U00020000\U0002a6df\U0002b740\uf900\U0002f800 \u3007\u3005",
    "\u0600a \u06dd1 \U000110bd\U00011083 \u0e33\u0eb3 \u09be \u0cd5",
    "\u302e\u302f가\u302e \U00016ff0 \U0001d165\U0001d16e \u3099\u309a",
]

_RANGES = [
    (0x20, 0x7E, 10), (0x01, 0x1F, 1), (0x80, 0x24F, 4), (0x300, 0x36F, 3), (0x370, 0x5FF, 3), (0x600, 0x6FF, 2),
    (0x900, 0xDFF, 3), (0xE00, 0xFFF, 2), (0x1000, 0x1FFF, 3), (0x2000, 0x2FFF, 3), (0x3000, 0x33FF, 3),
    (0x3400, 0x9FFF, 2), (0xA000, 0xABFF, 1), (0xAC00, 0xD7FF, 2), (0xF900, 0xFFFF, 3), (0x10000, 0x1FFFF, 2),
    (0x1F300, 0x1FAFF, 2), (0x20000, 0x323AF, 1), (0xE0000, 0xE01EF, 1),
]
_PARTS = list(" \t\n\r\u00a0\u200d\ufe0f\u3000\u2028'") + [
    "'s", "'LL", "[CLS]", "[SEP]", "<s>", "</s>", "<unk>", "<|endoftext|>", "[MASK]", "<0x41>", "ŉ", "ſ", "İ",
    "\u212a", "ß", "ﬁ", "가", "각", "क्षि", "👨‍👩‍👧", "🇫🇷", "e\u0301", "か\u3099", "▁", "1234567", "  ", "the ", " token",
]


def random_texts(count, seed):
    """Texts of up to some 100 characters from all of Unicode; never empty, never with NUL or record separators."""
    source = random.Random(seed)
    weights = [weight for _, _, weight in _RANGES]
    texts = []
    while len(texts) < count:
        parts = []
        for _ in range(source.randint(1, 40)):
            kind = source.random()
            if kind < 0.15:
                parts.append(source.choice(_PARTS))
            elif kind < 0.2:
                parts.append(" ")
            else:
                low, high, _ = source.choices(_RANGES, weights)[0]
                for _ in range(source.randint(1, 4)):
                    scalar = source.randint(low, high)
                    parts.append("a" if 0xD800 <= scalar < 0xE000 or scalar == 0x1E else chr(scalar))
        texts.append("".join(parts))
    return texts
