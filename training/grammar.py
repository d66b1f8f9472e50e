"""A closed grammar: one meaning makes the same sentence in English, German, French and Spanish.

    python3 grammar.py     prints an example of each template and the number of word forms
"""
import hashlib, random

LANGS = ("en", "de", "fr", "es")
NAMES = "Anna Peter Maria Thomas Laura David Sophie Martin Julia Daniel Emma Lucas Clara Simon Nina Victor".split()
CITY = [c.split("/") for c in """London/London/Londres/Londres Paris/Paris/Paris/París Berlin/Berlin/Berlin/Berlín
Madrid/Madrid/Madrid/Madrid Rome/Rom/Rome/Roma Vienna/Wien/Vienne/Viena Lisbon/Lissabon/Lisbonne/Lisboa
Munich/München/Munich/Múnich Geneva/Genf/Genève/Ginebra Hamburg/Hamburg/Hambourg/Hamburgo
Brussels/Brüssel/Bruxelles/Bruselas Prague/Prag/Prague/Praga Athens/Athen/Athènes/Atenas
Dublin/Dublin/Dublin/Dublín Boston/Boston/Boston/Boston Chicago/Chicago/Chicago/Chicago""".split()]
DAY = [c.split("/") for c in """Monday/Montag/lundi/lunes Tuesday/Dienstag/mardi/martes Wednesday/Mittwoch/mercredi/miércoles
Thursday/Donnerstag/jeudi/jueves Friday/Freitag/vendredi/viernes Saturday/Samstag/samedi/sábado Sunday/Sonntag/dimanche/domingo""".split()]
MONTH = [c.split("/") for c in """January/Januar/janvier/enero February/Februar/février/febrero March/März/mars/marzo April/April/avril/abril
May/Mai/mai/mayo June/Juni/juin/junio July/Juli/juillet/julio August/August/août/agosto September/September/septembre/septiembre
October/Oktober/octobre/octubre November/November/novembre/noviembre December/Dezember/décembre/diciembre""".split()]
NUM = {
    "en": "zero one two three four five six seven eight nine ten eleven twelve".split(),
    "de": "null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf".split(),
    "fr": "zéro un deux trois quatre cinq six sept huit neuf dix onze douze".split(),
    "es": "cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce".split(),
}
# weather adjectives
WADJ = [c.split("/") for c in """warm/warm/chaud/cálido cold/kalt/froid/frío sunny/sonnig/ensoleillé/soleado cloudy/bewölkt/nuageux/nublado
rainy/regnerisch/pluvieux/lluvioso stormy/stürmisch/orageux/tormentoso foggy/neblig/brumeux/brumoso dry/trocken/sec/seco""".split()]
WHEN = [c.split("/") for c in "today/heute/aujourd'hui/hoy tomorrow/morgen/demain/mañana".split()]
# nouns: en sing, en plural | de nominative with article, de accusative with article, plural | fr definite, plural, gender | es definite, plural, gender
THING = [[p.split(",") for p in line.split("|")] for line in """
window,windows|das Fenster,das Fenster,Fenster|la fenêtre,fenêtres,f|la ventana,ventanas,f
door,doors|die Tür,die Tür,Türen|la porte,portes,f|la puerta,puertas,f
book,books|das Buch,das Buch,Bücher|le livre,livres,m|el libro,libros,m
box,boxes|die Kiste,die Kiste,Kisten|la boîte,boîtes,f|la caja,cajas,f
bottle,bottles|die Flasche,die Flasche,Flaschen|la bouteille,bouteilles,f|la botella,botellas,f
bag,bags|die Tasche,die Tasche,Taschen|le sac,sacs,m|la bolsa,bolsas,f
car,cars|das Auto,das Auto,Autos|la voiture,voitures,f|el coche,coches,m
chair,chairs|der Stuhl,den Stuhl,Stühle|la chaise,chaises,f|la silla,sillas,f
lamp,lamps|die Lampe,die Lampe,Lampen|la lampe,lampes,f|la lámpara,lámparas,f
letter,letters|der Brief,den Brief,Briefe|la lettre,lettres,f|la carta,cartas,f
umbrella,umbrellas|der Regenschirm,den Regenschirm,Regenschirme|le parapluie,parapluies,m|el paraguas,paraguas,m
knife,knives|das Messer,das Messer,Messer|le couteau,couteaux,m|el cuchillo,cuchillos,m
phone,phones|das Telefon,das Telefon,Telefone|le téléphone,téléphones,m|el teléfono,teléfonos,m
hat,hats|der Hut,den Hut,Hüte|le chapeau,chapeaux,m|el sombrero,sombreros,m
""".strip().split("\n")]
# colours: en | de, de inflected | fr m, f, m pl, f pl | es m, f, m pl, f pl
COLOR = [[p.split(",") for p in line.split("|")] for line in """
red|rote|rouge,rouge,rouges,rouges|rojo,roja,rojos,rojas
green|grüne|vert,verte,verts,vertes|verde,verde,verdes,verdes
blue|blaue|bleu,bleue,bleus,bleues|azul,azul,azules,azules
black|schwarze|noir,noire,noirs,noires|negro,negra,negros,negras
white|weiße|blanc,blanche,blancs,blanches|blanco,blanca,blancos,blancas
yellow|gelbe|jaune,jaune,jaunes,jaunes|amarillo,amarilla,amarillos,amarillas
brown|braune|marron,marron,marron,marron|marrón,marrón,marrones,marrones
grey|graue|gris,grise,gris,grises|gris,gris,grises,grises
""".strip().split("\n")]
PLACEON = [c.split("/") for c in """on the table/auf dem Tisch/sur la table/sobre la mesa
under the bed/unter dem Bett/sous le lit/debajo de la cama
in the kitchen/in der Küche/dans la cuisine/en la cocina
in the garden/im Garten/dans le jardin/en el jardín
behind the sofa/hinter dem Sofa/derrière le canapé/detrás del sofá
in the office/im Büro/au bureau/en la oficina""".split("\n")]
# places: en | de nominative, de dative, de accusative | fr nominative, "de" form | es nominative, "de" form
PLACE = [[p.split(",") for p in line.split("|")] for line in """
station|der Bahnhof,dem Bahnhof,den Bahnhof|la gare,de la gare|la estación,de la estación
airport|der Flughafen,dem Flughafen,den Flughafen|l'aéroport,de l'aéroport|el aeropuerto,del aeropuerto
museum|das Museum,dem Museum,das Museum|le musée,du musée|el museo,del museo
hospital|das Krankenhaus,dem Krankenhaus,das Krankenhaus|l'hôpital,de l'hôpital|el hospital,del hospital
school|die Schule,der Schule,die Schule|l'école,de l'école|la escuela,de la escuela
church|die Kirche,der Kirche,die Kirche|l'église,de l'église|la iglesia,de la iglesia
library|die Bibliothek,der Bibliothek,die Bibliothek|la bibliothèque,de la bibliothèque|la biblioteca,de la biblioteca
market|der Markt,dem Markt,den Markt|le marché,du marché|el mercado,del mercado
restaurant|das Restaurant,dem Restaurant,das Restaurant|le restaurant,du restaurant|el restaurante,del restaurante
bridge|die Brücke,der Brücke,die Brücke|le pont,du pont|el puente,del puente
castle|das Schloss,dem Schloss,das Schloss|le château,du château|el castillo,del castillo
theatre|das Theater,dem Theater,das Theater|le théâtre,du théâtre|el teatro,del teatro
""".strip().split("\n")]
VERB = [c.split("/") for c in """open/öffne/Ouvre/abre close/schließe/Ferme/cierra clean/putze/Nettoie/limpia find/finde/Trouve/encuentra
bring/bring/Apporte/trae show/zeig/Montre/muestra""".split()]
EVENT = [c.split("/") for c in """The concert/Das Konzert/Le concert/El concierto|The meeting/Die Sitzung/La réunion/La reunión|The film/Der Film/Le film/La película
|The game/Das Spiel/Le match/El partido|The party/Die Feier/La fête/La fiesta|The course/Der Kurs/Le cours/El curso""".replace("\n", "").split("|")]
VEHICLE = [c.split("/") for c in """The train/Der Zug/Le train/El tren|The bus/Der Bus/Le bus/El autobús|The ship/Das Schiff/Le bateau/El barco
|The plane/Das Flugzeug/L'avion/El avión""".replace("\n", "").split("|")]
ACT = [c.split("/") for c in """swim/schwimmt/nager/nadar sing/singt/chanter/cantar dance/tanzt/danser/bailar read/liest/lire/leer
cook/kocht/cuisiner/cocinar travel/reist/voyager/viajar paint/malt/peindre/pintar work/arbeitet/travailler/trabajar""".split()]
SEASON = [c.split("/") for c in """in spring/im Frühling/au printemps/en primavera|in summer/im Sommer/en été/en verano|in autumn/im Herbst/en automne/en otoño
|in winter/im Winter/en hiver/en invierno""".replace("\n", "").split("|")]
REL = [c.split("/") for c in """sister/Meine Schwester/Ma sœur/Mi hermana
brother/Mein Bruder/Mon frère/Mi hermano
mother/Meine Mutter/Ma mère/Mi madre
father/Mein Vater/Mon père/Mi padre
son/Mein Sohn/Mon fils/Mi hijo
daughter/Meine Tochter/Ma fille/Mi hija""".split("\n")]
FOOD = [c.split("/") for c in """bread/Brot/du pain/pan|milk/Milch/du lait/leche|cheese/Käse/du fromage/queso|apples/Äpfel/des pommes/manzanas|rice/Reis/du riz/arroz
|soup/Suppe/de la soupe/sopa|fish/Fisch/du poisson/pescado|coffee/Kaffee/du café/café|tea/Tee/du thé/té|water/Wasser/de l'eau/agua|salad/Salat/de la salade/ensalada
|eggs/Eier/des œufs/huevos|oranges/Orangen/des oranges/naranjas|cake/Kuchen/du gâteau/pastel""".replace("\n", "").split("|")]
JOB = [c.split("/") for c in """a teacher/Lehrer/professeur/profesor|a doctor/Arzt/médecin/médico|a cook/Koch/cuisinier/cocinero|an engineer/Ingenieur/ingénieur/ingeniero
|a driver/Fahrer/chauffeur/conductor|a painter/Maler/peintre/pintor|a farmer/Bauer/fermier/agricultor|a singer/Sänger/chanteur/cantante""".replace("\n", "").split("|")]
GREET = [c.split("/") for c in """Good morning/Guten Morgen/Bonjour/Buenos días|Good evening/Guten Abend/Bonsoir/Buenas tardes|Good night/Gute Nacht/Bonne nuit/Buenas noches
|Thank you very much/Vielen Dank/Merci beaucoup/Muchas gracias|See you tomorrow/Bis morgen/À demain/Hasta mañana|Welcome/Willkommen/Bienvenue/Bienvenido""".replace("\n", "").split("|")]
RAIN = [["rain", "regnet", "pleuvoir", "llover"], ["snow", "schneit", "neiger", "nevar"]]


def _weather(r):
    c, a, w = r.choice(CITY), r.choice(WADJ), r.choice(WHEN)
    return [f"The weather in {c[0]} is {a[0]} {w[0]}.", f"Das Wetter in {c[1]} ist {w[1]} {a[1]}.",
            f"Le temps à {c[2]} est {a[2]} {w[2]}.", f"El tiempo en {c[3]} es {a[3]} {w[3]}."]


def _temp(r):
    c, n = r.choice(CITY), r.randint(2, 39)
    return [f"It is {n} degrees in {c[0]}.", f"In {c[1]} sind es {n} Grad.", f"Il fait {n} degrés à {c[2]}.", f"Hay {n} grados en {c[3]}."]


def _event(r):
    e, d, h = r.choice(EVENT), r.choice(DAY), r.randint(2, 12)
    return [f"{e[0]} starts at {NUM['en'][h]} o'clock on {d[0]}.", f"{e[1]} beginnt am {d[1]} um {NUM['de'][h]} Uhr.",
            f"{e[2]} commence {d[2]} à {NUM['fr'][h]} heures.", f"{e[3]} empieza el {d[3]} a las {NUM['es'][h]}."]


def _command(r):
    v, t = r.choice(VERB), r.choice(THING)
    return [f"Please {v[0]} the {t[0][0]}.", f"Bitte {v[1]} {t[1][1]}.", f"{v[2]} {t[2][0]}, s'il te plaît.", f"Por favor, {v[3]} {t[3][0]}."]


def _have(r):
    n, k, c, t = r.choice(NAMES), r.randint(2, 12), r.choice(COLOR), r.choice(THING)
    f, e = (2, 3)[t[2][2] == "f"], (2, 3)[t[3][2] == "f"]
    return [f"{n} has {NUM['en'][k]} {c[0][0]} {t[0][1]}.", f"{n} hat {NUM['de'][k]} {c[1][0]} {t[1][2]}.",
            f"{n} a {NUM['fr'][k]} {t[2][1]} {c[2][f]}.", f"{n} tiene {NUM['es'][k]} {t[3][1]} {c[3][e]}."]


def _vehicle(r):
    v, c, m = r.choice(VEHICLE), r.choice(CITY), r.randint(2, 59)
    return [f"{v[0]} to {c[0]} leaves in {m} minutes.", f"{v[1]} nach {c[1]} fährt in {m} Minuten ab.",
            f"{v[2]} pour {c[2]} part dans {m} minutes.", f"{v[3]} a {c[3]} sale en {m} minutos."]


def _like(r):
    n, a, s = r.choice(NAMES), r.choice(ACT), r.choice(SEASON)
    return [f"{n} likes to {a[0]} {s[0]}.", f"{n} {a[1]} gern {s[1]}.", f"{n} aime {a[2]} {s[2]}.", f"A {n} le gusta {a[3]} {s[3]}."]


def _born(r):
    p, m, c = r.choice(REL), r.choice(MONTH), r.choice(CITY)
    b = "née" if p[2].startswith("Ma ") else "né"
    return [f"My {p[0]} was born in {c[0]} in {m[0]}.", f"{p[1]} wurde im {m[1]} in {c[1]} geboren.",
            f"{p[2]} est {b} à {c[2]} en {m[2]}.", f"{p[3]} nació en {c[3]} en {m[3]}."]


def _food(r):
    a, b = r.sample(FOOD, 2)
    return [f"I would like {a[0]} and {b[0]}.", f"Ich möchte {a[1]} und {b[1]}.", f"Je voudrais {a[2]} et {b[2]}.", f"Quisiera {a[3]} y {b[3]}."]


def _where(r):
    p = r.choice(PLACE)
    return [f"Where is the {p[0][0]}?", f"Wo ist {p[1][0]}?", f"Où est {p[2][0]}?", f"¿Dónde está {p[3][0]}?"]


def _cap(s):
    return s[0].upper() + s[1:]


def _nextto(r):
    p, q = r.sample(PLACE, 2)
    return [f"The {p[0][0]} is next to the {q[0][0]}.", f"{_cap(p[1][0])} ist neben {q[1][1]}.",
            f"{_cap(p[2][0])} est à côté {q[2][1]}.", f"{_cap(p[3][0])} está al lado {q[3][1]}."]


def _code(r):
    d = [r.randint(0, 9) for _ in range(r.randint(3, 6))]
    s = {l: " ".join(NUM[l][k] for k in d) for l in LANGS}
    return [f"The code is {s['en']}.", f"Der Code lautet {s['de']}.", f"Le code est {s['fr']}.", f"El código es {s['es']}."]


def _price(r):
    t, n = r.choice(THING), r.randint(2, 99)
    return [f"The {t[0][0]} costs {n} euros.", f"{_cap(t[1][0])} kostet {n} Euro.", f"{_cap(t[2][0])} coûte {n} euros.", f"{_cap(t[3][0])} cuesta {n} euros."]


def _job(r):
    n, j, c = r.choice(NAMES), r.choice(JOB), r.choice(CITY)
    return [f"{n} works as {j[0]} in {c[0]}.", f"{n} arbeitet als {j[1]} in {c[1]}.", f"{n} travaille comme {j[2]} à {c[2]}.", f"{n} trabaja como {j[3]} en {c[3]}."]


def _visit(r):
    p, d = r.choice(PLACE), r.choice(DAY)
    return [f"We visited the {p[0][0]} on {d[0]}.", f"Wir haben am {d[1]} {p[1][2]} besucht.", f"Nous avons visité {p[2][0]} {d[2]}.", f"Visitamos {p[3][0]} el {d[3]}."]


def _rain(r):
    x, c, d = r.choice(RAIN), r.choice(CITY), r.choice(DAY)
    return [f"It will {x[0]} in {c[0]} on {d[0]}.", f"Am {d[1]} {x[1]} es in {c[1]}.", f"Il va {x[2]} à {c[2]} {d[2]}.", f"Va a {x[3]} en {c[3]} el {d[3]}."]


def _thing(r):
    c, t, p = r.choice(COLOR), r.choice(THING), r.choice(PLACEON)
    art, noun = t[1][0].split(" ")
    f, e = (0, 1)[t[2][2] == "f"], (0, 1)[t[3][2] == "f"]
    return [f"The {c[0][0]} {t[0][0]} is {p[0]}.", f"{_cap(art)} {c[1][0]} {noun} ist {p[1]}.",
            f"{_cap(t[2][0])} {c[2][f]} est {p[2]}.", f"{_cap(t[3][0])} {c[3][e]} está {p[3]}."]


def _greet(r):
    g, n = r.choice(GREET), r.choice(NAMES)
    return [f"{g[i]}, {n}." for i in range(4)]


TEMPLATES = [(_weather, 1.0), (_temp, 1.0), (_event, 1.2), (_command, 0.9), (_have, 1.3), (_vehicle, 1.1), (_like, 1.0), (_born, 1.1),
             (_food, 0.9), (_where, 0.3), (_nextto, 0.9), (_code, 1.3), (_price, 1.0), (_job, 1.0), (_visit, 0.8), (_rain, 0.9),
             (_thing, 1.3), (_greet, 0.5)]
_W = [w for _, w in TEMPLATES]


def heldout(texts):
    """One meaning in ten never occurs in training (decided on the English text, so in all four languages)."""
    return hashlib.md5(texts[0].encode()).digest()[0] < 26


def sample(r, held=None):
    """-> (template index, [en, de, fr, es])"""
    while True:
        k = r.choices(range(len(TEMPLATES)), _W)[0]
        t = TEMPLATES[k][0](r)
        if held is None or heldout(t) == held:
            return k, t


if __name__ == "__main__":
    r = random.Random(1)
    for f, _ in TEMPLATES:
        for s in f(r):
            print(s)
    words = [set() for _ in LANGS]
    uniq = set()
    for _ in range(60000):
        k, t = sample(r)
        uniq.add(t[0])
        for i in range(4):
            words[i].update(t[i].strip(".?¿").split())
    print([len(w) for w in words], len(uniq))
