package modem

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tillpost/modem/sim"
	"tillpost/queue/route"
	"tillpost/queue/text"
)

// phrases are what shops write, in fifteen languages.
var phrases = []string{
	"Your order is ready to collect until 6 pm.",
	"Uw fiets is klaar, u kunt hem ophalen. Tot morgen!",
	"Ihre Bestellung liegt für Sie bereit, schöne Grüße aus Köln.",
	"Din beställning är klar, välkommen åter på lördag.",
	"Din ordre er klar, vi ses på søndag. Hilsen Bodø Blåbær.",
	"Votre commande est prête, à bientôt chez le pâtissier.",
	"Su pedido está listo. ¡Hasta mañana! ¿Viene el niño?",
	"A sua encomenda está pronta, até amanhã.",
	"Il tuo ordine è pronto, così puoi ritirarlo già lunedì.",
	"Twoje zamówienie jest gotowe, zażółć gęślą jaźń.",
	"Vaše objednávka je připravena, příliš žluťoučký kůň.",
	"Siparişiniz hazır, ığdır'dan gelen öğle yemeği.",
	"Ваш заказ готов, ждём вас завтра.",
	"Η παραγγελία σας είναι έτοιμη, ευχαριστούμε.",
	"您的订单已准备好，欢迎光临。",
}

var pepper = []string{"😀", "👍🏽", "👨‍👩‍👧", "🇳🇱", "❤️", "€", "[", "]", "{", "}", "~", "^", "|", "\\", "@", "$", "£", "Ω", "§", "1½", "'", "’", "…", "–"}

// randomText strings phrases, pieces of them, and pepper together, on one line.
func randomText(r *rand.Rand) string {
	var b strings.Builder
	language := phrases[r.IntN(len(phrases))]
	for range 1 + r.IntN(4) {
		words := strings.Fields(language)
		for range 1 + r.IntN(12) {
			b.WriteString(words[r.IntN(len(words))])
			b.WriteByte(' ')
		}
		if r.IntN(3) == 0 {
			b.WriteString(pepper[r.IntN(len(pepper))])
		}
		if r.IntN(12) == 0 {
			language = phrases[r.IntN(len(phrases))]
		}
	}
	return strings.TrimSpace(b.String()) + "."
}

// Software that is not ours reads what we encode: Debian's gammu takes 2 000
// random texts, part by part, from the memory of a modem, and decodes them.
func TestGammuReadsWhatWeEncode(t *testing.T) {
	needs(t, "gammu")
	const messages = 2000
	var parts []route.Segment
	var hexes []submit
	r := rand.New(rand.NewPCG(3, 23040))
	for i := range messages {
		p, err := text.Compose(randomText(r), text.Options{MaxParts: 20, RefBits: []int{8, 16}[i%2]})
		if err != nil {
			t.Fatal(err)
		}
		o := route.Outbound{To: fmt.Sprintf("+316%08d", i), Alphabet: p.Alphabet, Segments: segments(p), Ref: i, RefBits: []int{8, 16}[i%2]}
		for n, seg := range o.Segments {
			s, err := encode(&o, n+1, form{report: i%3 == 0, validity: i%5 != 0, period: time.Duration(i) * time.Hour})
			if err != nil {
				t.Fatal(err)
			}
			parts, hexes = append(parts, seg), append(hexes, s)
		}
	}
	// gammu sleeps between its commands: one for each batch, all at once.
	var readers []func() []string
	for batch := range slices.Chunk(hexes, batchOf) {
		d := newDesk(t, sim.Config{MESlots: batchOf})
		fill(t, d, batch)
		readers = append(readers, gammu(t, d))
	}
	var got []string
	for _, read := range readers {
		got = append(got, read()...)
	}
	if len(got) != len(parts) {
		t.Fatalf("gammu read %d parts, want %d", len(got), len(parts))
	}
	wrong := 0
	for i, want := range parts {
		if got[i] != want.Text && got[i] != doubled(want.Text) {
			if wrong++; wrong < 10 {
				t.Errorf("part %d\nencoded %q\nread    %q\nPDU %s", i, want.Text, got[i], hexes[i].hex)
			}
		}
	}
	if wrong > 0 {
		t.Errorf("%d of %d parts were read differently", wrong, len(parts))
	}
	t.Logf("gammu read %d parts of %d messages", len(got), messages)
}

// doubled is how gammu shows a tilde in a Unicode text: there it marks formats.
func doubled(s string) string { return strings.ReplaceAll(s, "~", "~~") }

// batchOf parts fit into what the simulated modem says at once (64 KB).
const batchOf = 150

// needs fails under TILLPOST_CI=1 if a program is missing; elsewhere the list
// of what was not run tells which package to install.
func needs(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		if os.Getenv("TILLPOST_CI") == "1" {
			t.Fatalf("%s is missing: see cross/test-packages", program)
		}
		t.Skipf("%s is missing: see cross/test-packages", program)
	}
}

// fill writes the PDUs into the modem's memory with AT+CMGW.
func fill(t *testing.T, d *desk, all []submit) {
	t.Helper()
	f, err := openPort(Config{Port: d.link, LockDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewReader(f)
	say := func(s, until string) {
		t.Helper()
		if _, err := f.Write([]byte(s)); err != nil {
			t.Fatal(err)
		}
		for got := ""; !strings.HasSuffix(got, until); {
			b, err := lines.ReadByte()
			if err != nil {
				t.Fatal(err)
			}
			if got += string(b); strings.Contains(got, "ERROR") {
				t.Fatalf("%q was answered %q", s, got)
			}
		}
	}
	for _, cmd := range []string{"AT\r", "ATE0\r", "AT+CMGF=0\r", "AT+CPMS=\"ME\",\"ME\",\"ME\"\r"} {
		say(cmd, "OK\r\n")
	}
	for _, s := range all {
		say(fmt.Sprintf("AT+CMGW=%d\r", s.length), "> ")
		say(s.hex+"\x1a", "OK\r\n")
	}
}

// gammu starts reading all messages; what it returns waits, and gives the texts
// in the order of their places. Each is printed as a block: Location, fields, a
// blank line, the text.
func gammu(t *testing.T, d *desk) (texts func() []string) {
	t.Helper()
	rc := filepath.Join(t.TempDir(), "gammurc")
	if err := os.WriteFile(rc, []byte("[gammu]\ndevice = "+d.link+"\nconnection = at115200\nsynchronizetime = no\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	cmd := exec.CommandContext(ctx, "gammu", "-c", rc, "getallsms")
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "HOME="+t.TempDir())
	var printed bytes.Buffer
	cmd.Stdout, cmd.Stderr = &printed, &printed
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return func() (texts []string) {
		t.Helper()
		defer cancel()
		if err := cmd.Wait(); err != nil {
			t.Fatalf("gammu: %v\n%s", err, printed.String()[max(0, printed.Len()-2000):])
		}
		for _, block := range strings.Split("\n"+printed.String(), "\nLocation ")[1:] {
			_, body, ok := strings.Cut(block, "\n\n")
			if !ok {
				t.Fatalf("gammu printed %q", block)
			}
			line, _, _ := strings.Cut(body, "\n")
			texts = append(texts, line)
		}
		return texts
	}
}
