"""Makes openai-normalizers.json beside this file with the normalisers of openai/whisper themselves.

Usage: python make_golden.py path/to/whisper/normalizers   (openai/whisper v20250625; needs the packages regex and more_itertools)

Each case is a text and what the normalisers make of it. The texts are written here, or put together of number words with a
fixed seed. Characters newer than the running Python's Unicode are avoided.
"""

import hashlib, importlib.util, json, pathlib, random, sys, unicodedata

here = pathlib.Path(__file__).resolve().parent
folder = pathlib.Path(sys.argv[1])
spec = importlib.util.spec_from_file_location(
    "normalizers", folder / "__init__.py", submodule_search_locations=[str(folder)]
)
package = importlib.util.module_from_spec(spec)
sys.modules["normalizers"] = package
spec.loader.exec_module(package)
from normalizers.english import EnglishNumberNormalizer, EnglishSpellingNormalizer  # noqa: E402

NORMALIZERS = {
    "english": package.EnglishTextNormalizer(),
    "numbers": EnglishNumberNormalizer(),
    "basic": package.BasicTextNormalizer(),
    "plain": package.BasicTextNormalizer(remove_diacritics=True),
    "letters": package.BasicTextNormalizer(split_letters=True),
}

TEXTS = """
The station's next to the museum, isn't it?
I'm gonna pay $3.50 [laughs] (coughs) um, 100%!
Colour of the aeroplane, Dr. Smith's
U.S.A. e-mail
It is 3 o'clock.
five hundred thousand and twenty two point one
He said: "We'll be there at 10:30 a.m. - or later".
They'd been there, they'd gone, they'd done it; she's got it, he's gone and it's been fun.
y'all wanna go? I gotta, imma, i'ma, woulda, coulda, shoulda, ma'am
Mr. and Mrs. Brown, Prof. Lee, Capt. Cook, Gov. X, Gen. Y, Sen. Z, Rep. A, Pres. B, Rev. C, Hon. D, Asst. E, Assoc. F
Lt. Col. Jones Sr. and Jones Jr., Esq., live at 12 St. James St.
Won't, can't, ain't, let's, shan't, mustn't've
I 'm here , you 're there , he 's gone
rock 'n' roll in the '90s and the 1980's
Ünïcödé cafés — naïve façade… “quoted” ‘single’ it’s don’t
Straße, Œuvre, Ærø, Łódź, Đà Nẵng, Þór, ðe
½ of ¼ is ⅛; x² + y³ = z⁴; H₂O; №5; ™ © ®
Ⅳ and ⅻ are Roman, ① ② are circled, ﬁ is a ligature, ＡＢＣ１２３ is full width
١٢٣ ٤٫٥ १२३ १.५ ３．１４ ３,１４ ๑๒๓
１２ thousand and ١٢ thousand and 𝟏𝟐 million
[unclosed bracket and (unclosed parenthesis
<tag>kept</tag> {braces} [a] b] (c) d) () [] <> (()) ([x]) <a]b>
hmm mm mhm mmm uh um hmmm umm uhm hum
Hmm, well... um—no. Mm-hmm! Uh-huh.
1,234,567.89 and 1,2,3 and 1, 2, 3 and 1,a
... . .. .5 5. 5.5. 5.5.5 192.168.0.1 v1.2.3
$ 5 and 5 $ and 5$ and $5 and $5.00 and US$5 and $-5 and -$5
€5 £5 ¢5 ₤5 ¥5 5€ 5£ 5¢ 5%  5 % %5 a% % .% $% $.
$0.05 $0.5 $0.50 $0.500 €0.36 £0.99 $0x36 $10.36 $00.36
$2 and 7 cents, $2 7 cents, $2 and ¢7, €3 ¢65, £3 and ¢6
100 percent, percent, a percent, ten per cent, per cent, ten per person, 5 per cent.
one hundred percent, one percent, two per centimetre
minus one, minus, minus sign, plus 5, positive, negative 3.5, minus dollars, plus cents
one, 1, 1s, ones, 1st, one's, 11, 1.1, $1, 1%, -1, 1-1, a1, 1a, 1_1, _1
first second third fourth fifth sixth seventh eighth ninth nineth tenth eleventh twelfth thirteenth zeroth
twentieth thirtieth fortieth fiftieth sixtieth seventieth eightieth ninetieth hundredth thousandth millionth
ones twos threes fours fives sixes sevens eights nines tens twenties thirties hundreds thousands
hundred, a hundred, one hundred, hundred and one, two hundred and, hundred and fifty thousand
zero, oh, o, double, triple, double zero, triple five, double twenty, double trouble, oh no
point, point five, the point is, zero point zero five, three point, point hundred, point and
twenty one twelve, twenty twelve one, nineteen oh five, two thousand and one, two thousand one hundred
one decillion, ten nonillion, 3.5 septillion, two point five five five thousand, 1.2345 hundred
one million million, one thousand million, hundred million thousand, nine hundred ninety nine thousand nine hundred ninety nine
and a half, one and a half, two hundred and a half, dog and a half, and a half and a half, 2 and a half, oh and a  half
half and half, a half, one half, and a halfling
10km 10 km 5kg 3rd 3 rd 22 nd 4 th 90 s 90s 7 st 8 sth RC232 b2b 4x4 a1b2c3 1080p mp3
twenty-one, forty-five, one-hundred-and-one, 7-11, 2020-12-31, 12/31/2020, 9-to-5, +49 (0)30 1234567
call 555 1234 or nine one one or double nine double five or one eight hundred
three hundred thousand dollars and fifty cents, one cent, one dollar, a dollar, dollars, pounds of flesh
thousandth thousands thousand's two thousandths 5 thousandth 2.5 thousands 2.5005 thousands
0 thousand, zero thousand, 00 hundred, oh hundred, 0 one, 0 oh one, 0 double five
the colour of honour, the centre of the theatre, organised behaviour, travelling, jewellery, grey, aluminium, tyres
Flyer / flier; the cheque; programme; analyse; catalogue; defence; licence; practise; storey; plough
constructor prototype __proto__ toString hasOwnProperty valueOf
ma'am madam st. St saint's mr's mrs. mr.x dr_who dr1
éa'm ça'd à't über's 東's won’t çwon't won'té
I've I'd I'll I'm I's 've 'd 'll 'm 's 't n't 're
İstanbul IŞIK ΟΔΥΣΣΕΥΣ ΟΔΟΣ ς Σ ǅ ﬀ ẞ
Ça va, très bien?
Hola güey!
¿Cómo estás? ¡Muy bien, señor!
今日は、いい天気。
こんにちは ガギグゲゴ パピプペポ が ﾊﾟ
안녕하세요, 세계! 다람쥐 헌 쳇바퀴에 타고파
你好，世界！ 这是一个测试。
สวัสดีชาวโลก ນ້ຳ မြန်မာ
नमस्ते दुनिया, क्या हाल है? வணக்கம் తెలుగు
Привет, мир! Ёлка, йод. Київ їжак
שלום עולם! שָׁלוֹם
مرحبا بالعالم! السَّلامُ عَلَيْكُم
Tiếng Việt có dấu: ằ ẵ ợ ữ
e\u0301 a\u0308 n\u0303 o\u0302\u0323 \u0301x
👋 hello 👨‍👩‍👧‍👦 🇩🇪 ❤️ 1️⃣ ☃
tab\there\u00a0nbsp\u2003em\u3000ideographic\u200bzero\ufeffbom\u2028line\u0085next\u001funit
a  '  b   's \u00a0're \u3000'll \ufeff'd \u200b'm
snake_case __init__ a_b 1_000
C++ C# a+b a=b a&b a*b a/b a\\b a|b a~b a^b a`b @me #tag
2+2=4 2 + 2 = 4 +2 -2 ±2 −2 –2 —2
"""

ATOMS = (
    "oh o zero one two three five nine ten eleven nineteen twenty thirty ninety hundred thousand million billion one two "
    "twos firsts first third fifth twelfth twenties fiftieth hundreds thousandth millions minus plus negative dollars dollar "
    "cents pounds euro percent per cent and and point point double triple a half dog 0 1 7 12 3.5 2.50 100 $5 €2.5 ¢7 -3 +4 "
    "0.5 1st 5% ٣ o'clock ones."
).split()

rng = random.Random(20250625)
texts = TEXTS.strip("\n").split("\n")
texts += [" ".join(rng.choice(ATOMS) for _ in range(rng.randint(2, 9))) for _ in range(400)]
texts += ["", " ", "\n", "one\ntwo\r\nthree\tfour", " leading and trailing. \n", "a." * 3, "'", "''s", "%", "."]


def cases():
    for text in texts:
        made = {}
        for name, normalize in NORMALIZERS.items():
            if name == "letters" and text.isascii():
                continue
            made[name] = normalize(text)
        yield {"text": text, **made}


golden = {
    "made": "test/golden/normalizers/make_golden.py with openai/whisper v20250625, whisper/normalizers",
    "unicode": unicodedata.unidata_version,
    "sha256": {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in ["basic.py", "english.py", "english.json"]
    },
    "cases": list(cases()),
}
lines = ",\n".join("  " + json.dumps(case, ensure_ascii=False) for case in golden.pop("cases"))
head = json.dumps(golden, indent=1, ensure_ascii=False)
(here / "openai-normalizers.json").write_text(head[:-2] + ',\n "cases": [\n' + lines + "\n ]\n}\n")
