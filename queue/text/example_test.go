package text_test

import (
	"fmt"

	"tillpost/queue/text"
)

func ExampleCompose() {
	for _, s := range []string{"‘Klaar’ – € 84,50…", "Uw fiets is geïnspecteerd"} {
		p, err := text.Compose(s, text.Options{})
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%s: %d SMS in %s, %d left, %d replaced\n", p.Text, p.Parts(), p.Alphabet, p.Left, len(p.Changes))
		for _, c := range p.Culprits {
			fmt.Printf("because of %s at %v: %s would do\n", c.Char, c.At, c.Use)
		}
	}
	// Output:
	// 'Klaar' - € 84,50...: 1 SMS in gsm7, 139 left, 4 replaced
	// Uw fiets is geïnspecteerd: 1 SMS in ucs2, 45 left, 0 replaced
	// because of ï at [14]: i would do
}

func ExampleParseNumber() {
	for _, s := range []string{"06-12345678", "+46 (0)70-123 45 67", "8080", "0900-1234"} {
		n, err := text.ParseNumber(s, "NL")
		fmt.Println(n, n.Kind(), err)
	}
	// Output:
	// +31612345678 mobile <nil>
	// +46701234567 mobile <nil>
	// 8080 short <nil>
	//   to: +319001234 is a premium number, a text to it costs extra: use the mobile number of a person
}
