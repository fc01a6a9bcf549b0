// SPDX-License-Identifier: MIT
/* battery.c - texts on which tokenizers of one model have to agree (compare.c): what is easy to get
 * wrong, each in a line of its own so that a difference names something short. */
#include "text/battery.h"

#define PLAIN(s)                                                                                   \
    {                                                                                              \
        {(s), sizeof(s) - 1}, true                                                                 \
    }
#define STRANGE(s)                                                                                 \
    {                                                                                              \
        {(s), sizeof(s) - 1}, false                                                                \
    }

const ls_battery_text ls_battery[] = {
    PLAIN("Hello world"),
    PLAIN("The quick brown fox jumps over the lazy dog."),
    PLAIN("Marley was dead: to begin with. There is no doubt whatever about that."),
    PLAIN("I'm sure they've said it's what we'd do; you'll see, don't they're?"),
    PLAIN("I'M SURE THEY'VE SAID IT'S WHAT WE'D DO"),
    PLAIN("CamelCase snake_case kebab-case SCREAMING_CASE iPhone McDonald"),
    PLAIN("antidisestablishmentarianism pneumonoultramicroscopicsilicovolcanoconiosis"),
    PLAIN("1 12 123 1234 12345 1234567890"),
    PLAIN("3.14159 1,000,000.00 1e-5 0xFF 50% $9.99 #42 12:34:56 2026-11-21"),
    PLAIN("x=1+2*(3-4)/5; y[0]->z != a && b || !c ^ ~d"),
    PLAIN("for (int i = 0; i < n; i++) {\n    sum += a[i];\n}\n"),
    PLAIN("def f(x):\n\treturn x ** 2\n\n\nprint(f(3))\n"),
    PLAIN("{\"key\": [1, 2.5, null, true], \"text\": \"a\\nb\"}"),
    PLAIN("https://example.org/a/b?c=d&e=%20f#g user@example.org /usr/bin/env"),
    PLAIN("<p class=\"x\">one &amp; two</p><!-- three -->"),
    PLAIN("# Title\n\n- one\n- two\n\n| a | b |\n|---|---|\n**bold** `code`"),
    PLAIN("...!!!??? --- === *** ___ ~~~ ((())) [[]] {{}}"),
    PLAIN("\"quoted\" 'quoted' \u201cquoted\u201d \u2018quoted\u2019 \u00abquoted\u00bb"),
    PLAIN("a - b \u2013 c \u2014 d"),
    PLAIN("Stra\u00dfe \u00fcber \u00c4rger \u00d6l na\u00efve caf\u00e9 \u00e7a \u0153uvre "
          "\u0142\u00f3d\u017a"),
    PLAIN("\u041f\u0440\u0438\u0432\u0435\u0442, \u043a\u0430\u043a \u0434\u0435\u043b\u0430?"),
    PLAIN("\u039a\u03b1\u03bb\u03b7\u03bc\u03ad\u03c1\u03b1 \u03ba\u03cc\u03c3\u03bc\u03b5"),
    PLAIN("\u0645\u0631\u062d\u0628\u0627 \u0628\u0627\u0644\u0639\u0627\u0644\u0645 "
          "\u0661\u0662\u0663"),
    PLAIN("\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd"),
    PLAIN("\u0928\u092e\u0938\u094d\u0924\u0947 \u0926\u0941\u0928\u093f\u092f\u093e"),
    PLAIN("\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35\u0e0a\u0e32\u0e27\u0e42\u0e25\u0e01"),
    PLAIN("\u4f60\u597d\u4e16\u754c\uff0c\u4eca\u5929\u5929\u6c14\u5f88\u597d\u3002"),
    PLAIN("\u3053\u3093\u306b\u3061\u306f\u4e16\u754c\u3001\u30ab\u30bf\u30ab\u30ca"),
    PLAIN("\uc548\ub155\ud558\uc138\uc694 \uc138\uacc4"),
    PLAIN("\u2211 \u222b \u2202 \u2264 \u2260 \u221e \u2192 \u2208 \u211d \u00b1 \u00d7 \u00f7"),
    PLAIN("\U0001f600 \U0001f44d\U0001f3fd \U0001f468\u200d\U0001f469\u200d\U0001f467 "
          "\U0001f1e9\U0001f1ea"),
    PLAIN("\U00010330\U00010331 \U0001d54f \U00020000"),
    PLAIN("a\u200bb\u00adc\ufeffd"),
    PLAIN("Zz\u01c5\u02b0\u00aa\u00b2\u00bd"),
    STRANGE(" leading space"),
    STRANGE("trailing space "),
    STRANGE("two  spaces   three    four"),
    STRANGE("tab\tand\r\nline\rends\n\n\n\n  x"),
    STRANGE(" \n \t "),
    STRANGE("cafe\u0301 A\u030a \u1e9b\u0323"),
    STRANGE("\ufb01ne \uff21\uff22\uff23\u3000\uff11\uff12 \u2460 \u2126 \u212b"),
    STRANGE("\x01\x7f\xc2\x85"),
};

const size_t ls_n_battery = sizeof(ls_battery) / sizeof(ls_battery[0]);
