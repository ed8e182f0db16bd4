package webui

import (
	"fmt"
	"html/template"
	"strings"

	"tillpost/queue"
)

// Signs are the road signs of the page: the silhouette answers without colour
// (disc: works, triangle: somebody should come, octagon: stopped, square: good
// to know, diamond: not sure). Each is drawn in the colours of its class.
var signs = map[string]struct{ class, shape string }{
	"ok":   {"ok", `<circle class="sign-b" cx="24" cy="24" r="22"/><path class="sign-m" d="M14 25l7 7 13-15"/>`},
	"warn": {"warn", `<path class="sign-b sign-j" d="M24 5.5 44.5 41.5h-41z"/><path class="sign-m" d="M24 18.5v10.5M24 35.5v.1"/>`},
	"stop": {"stop", `<path class="sign-b sign-j" d="M15.5 3h17L45 15.5v17L32.5 45h-17L3 32.5v-17z"/><path class="sign-m" d="M17 17l14 14M31 17 17 31"/>`},
	"info": {"info", `<rect class="sign-b" x="3" y="3" width="42" height="42" rx="6"/><path class="sign-m" d="M24 22.5v12M24 13.5v.1"/>`},
	"unk":  {"unk", `<path class="sign-b sign-j" d="M24 2.5 45.5 24 24 45.5 2.5 24z"/><path class="sign-m" d="M18.5 19.5a5.5 5.5 0 1 1 8 5c-1.7.9-2.5 2-2.5 3.5M24 34.5v.1"/>`},
	"lost": {"lost", `<circle class="sign-dash" cx="24" cy="24" r="20"/><path class="sign-line" d="M10.5 24h6.5M31 24h6.5M21 20l-2 8M29 20l-2 8"/>`},

	"planned": {"info", `<circle class="sign-ring" cx="24" cy="24" r="19"/><path class="sign-line" d="M24 14v11l7 5"/>`},
	"line":    {"lost", `<circle class="sign-ring" cx="24" cy="24" r="19"/><path class="sign-line" d="M15.5 24h.1M24 24h.1M32.5 24h.1"/>`},
	"held":    {"info", `<rect class="sign-b" x="4" y="4" width="40" height="40" rx="6"/><path class="sign-m" d="M18 16v16M30 16v16"/>`},
	"sending": {"info", `<circle class="sign-b" cx="24" cy="24" r="22"/><path class="sign-m" d="M13 24h20M25.5 15.5 34 24l-8.5 8.5"/>`},
	"sent":    {"info", `<circle class="sign-ring" cx="24" cy="24" r="19"/><path class="sign-line" d="M15 25l6 6 12-13"/>`},
	"late":    {"lost", `<path class="sign-line" d="M12 5h24M12 43h24M15 6c0 10 9 12 9 18s-9 8-9 18M33 6c0 10-9 12-9 18s9 8 9 18"/>`},
	"off":     {"lost", `<circle class="sign-ring" cx="24" cy="24" r="19"/><path class="sign-line" d="M11 37 37 11"/>`},
}

// halos stand around the big lamp alone.
var halos = map[string]string{
	"ok":   `<circle class="halo" cx="24" cy="24" r="24.5"/><circle class="halo" cx="24" cy="24" r="27"/>`,
	"warn": `<path class="halo sign-j" d="M24 .6 48.6 44.3H-.6z"/><path class="halo sign-j" d="M24-4.3 52.8 46.8H-4.8z"/>`,
	"stop": `<circle class="halo" cx="24" cy="24" r="25"/><circle class="halo" cx="24" cy="24" r="27.5"/>`,
	"info": `<rect class="halo" x="0.5" y="0.5" width="47" height="47" rx="7"/><rect class="halo" x="-2" y="-2" width="52" height="52" rx="8"/>`,
}

// sign draws a sign. With a label it speaks to screen readers, without one the
// words beside it do.
func sign(name string, label ...string) template.HTML { return draw(name, "", label) }

func bigSign(name string) template.HTML { return draw(name, halos[name], nil) }

func draw(name, halo string, label []string) template.HTML {
	s, ok := signs[name]
	if !ok {
		s = signs["unk"]
	}
	told := `aria-hidden="true"`
	if len(label) > 0 && label[0] != "" {
		told = fmt.Sprintf(`role="img" aria-label="%s"`, template.HTMLEscapeString(label[0]))
	}
	return template.HTML(fmt.Sprintf(`<svg class="sign %s" viewBox="0 0 48 48" %s>%s%s</svg>`, s.class, told, halo, s.shape))
}

// mark is the sign in one character, for the title of the tab.
var mark = map[string]string{"ok": "✓", "info": "■", "warn": "▲", "stop": "✕"}

// signOf a message.
var signOf = map[queue.State]string{
	queue.Scheduled: "planned", queue.Queued: "line", queue.Held: "held", queue.Sending: "sending",
	queue.Sent: "sent", queue.Delivered: "ok", queue.Undelivered: "warn", queue.Failed: "stop",
	queue.Expired: "late", queue.Cancelled: "off", queue.Unknown: "unk",
}

// classOf a sign: the colours it hands to its surroundings.
func classOf(sign string) string { return signs[sign].class }

// bars draws the air of a modem: 0 to 4 bars, below 0 for not known.
func bars(n int) template.HTML {
	var b strings.Builder
	class := "bars"
	if n < 0 {
		class += " none"
	}
	fmt.Fprintf(&b, `<svg class="%s" viewBox="0 -1 32 25" aria-hidden="true">`, class)
	for i := range 4 {
		on := "off"
		if i < n {
			on = "on"
		}
		fmt.Fprintf(&b, `<rect class="%s" x="%d.5" y="%d" width="6" height="%d"/>`, on, 8*i, 18-6*i, 5+6*i)
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String())
}

// air says how good a signal is. The limits are those of the modem's own words:
// CSQ 2 to 9 is weak (field-notes §7.3), 15 and more is good
// (3GPP TS 27.007 §8.5: dBm = 2 × CSQ − 113).
func air(dBm *int) (n int, word string) {
	switch {
	case dBm == nil:
		return -1, "signal_unknown"
	case *dBm >= -73:
		return 4, "signal_good"
	case *dBm >= -83:
		return 3, "signal_good"
	case *dBm >= -94:
		return 2, "signal_fair"
	case *dBm >= -109:
		return 1, "signal_weak"
	}
	return 0, "signal_none"
}

// masked hides the middle of a number: the country and the first digit stay,
// and the last four, so that who knows the customer knows which one it is.
func masked(number string) string {
	digits, ok := strings.CutPrefix(number, "+")
	if !ok || len(digits) < 8 {
		return number // a short code belongs to nobody
	}
	n := len(countryCode(digits))
	rest, end := digits[n:], digits[len(digits)-4:]
	lead := ""
	if len(rest) > 5 {
		lead = " " + rest[:1]
	}
	return "+" + digits[:n] + lead + " ** ** " + end[:2] + " " + end[2:]
}

// countryCode is the first one to three digits of an E.164 number. Two digits
// where the ITU gave the whole zone out in twos (ITU-T E.164, annex to
// Operational Bulletin 930), else three.
func countryCode(digits string) string {
	if digits[0] == '1' || digits[0] == '7' {
		return digits[:1]
	}
	switch digits[:2] {
	case "20", "27", "30", "31", "32", "33", "34", "36", "39", "40", "41", "43", "44", "45", "46", "47", "48", "49",
		"51", "52", "53", "54", "55", "56", "57", "58", "60", "61", "62", "63", "64", "65", "66",
		"81", "82", "84", "86", "90", "91", "92", "93", "94", "95", "98":
		return digits[:2]
	}
	return digits[:3]
}
