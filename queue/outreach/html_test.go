package outreach

import (
	"errors"
	"strings"
	"testing"

	"tillpost/queue"
)

func TestHTMLIsFilledInWithWhatValuesSay(t *testing.T) {
	for name, c := range map[string]struct {
		html  string
		vars  Vars
		rules Rules
		want  string
		code  string // of the refusal
	}{
		"a value is text": {
			html: `<p title="{naam}">Dag {naam}</p>`, vars: Vars{"naam": `<b onclick="x">&'`},
			want: `<p title="&lt;b onclick=&#34;x&#34;&gt;&amp;&#39;">Dag &lt;b onclick=&#34;x&#34;&gt;&amp;&#39;</p>`,
		},
		"its lines stay lines":   {html: `<p># CUSTOMTEXT #</p>`, vars: Vars{"customtext": "Hallo\r\ndaar"}, want: "<p>Hallo<br>\ndaar</p>"},
		"dates as readers write": {html: `<td>[DAG]</td>`, vars: Vars{"dag": "2027-04-23"}, want: `<td>23-04-2027</td>`},
		"style and comments are no placeholders": {
			html: "<!--[if mso]><b>{x}</b><![endif]-->\n<style>@media print {margin} a{color:red}</style><STYLE>{p}</STYLE ><p>{naam}. </p>\n", vars: Vars{"naam": "Jo"},
			want: "<!--[if mso]><b>{x}</b><![endif]-->\n<style>@media print {margin} a{color:red}</style><STYLE>{p}</STYLE ><p>Jo. </p>\n",
		},
		"a stranger is refused":        {html: `<p>{naam} {kenteken}</p>`, vars: Vars{"naam": "Jo"}, code: CodeUnknown},
		"a missing value is refused":   {html: `<p>{naam}</p>`, vars: Vars{"naam": " "}, code: CodeMissing},
		"a default is text too":        {html: `<p>{naam}</p>`, vars: Vars{"naam": ""}, rules: Rules{Missing: Default, Defaults: map[string]string{"naam": "R&D"}}, want: `<p>R&amp;D</p>`},
		"where a sentence would go":    {html: `<p>Dag {naam}. Tot ziens.</p>`, vars: Vars{"naam": ""}, rules: Rules{Missing: LeaveOut}, want: ""},
		"values that make it too long": {html: strings.Repeat("{naam}", 100), vars: Vars{"naam": strings.Repeat("x", 2000)}, code: "html_too_long"},
	} {
		t.Run(name, func(t *testing.T) {
			names := Names{}
			names.Add(c.vars)
			p, err := parseHTML(c.html, names, c.rules)
			if err != nil {
				t.Fatal(err)
			}
			got, err := p.renderHTML(c.vars, "nl")
			bad, refused := errors.AsType[*queue.Invalid](err)
			if got != c.want || refused != (c.code != "") || refused && bad.Code != c.code {
				t.Errorf("%q, %v; want %q", got, err, c.want)
			}
		})
	}
}

func TestHTMLBelongsToATextByEmail(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		for name, c := range map[string]struct {
			t    Stored
			code string
		}{
			"no text beside it":      {Stored{Texts: map[string]map[string]string{Email: {"nl": "Dag"}}, HTML: map[string]string{"de": "<p>Tag</p>"}}, "text_missing"},
			"an SMS":                 {Stored{Texts: map[string]map[string]string{SMS: {"nl": "Dag"}}, HTML: map[string]string{"nl": "<p>Dag</p>"}}, "text_missing"},
			"empty":                  {Stored{Texts: map[string]map[string]string{Email: {"nl": "Dag"}}, HTML: map[string]string{"nl": " "}}, "text_empty"},
			"too long":               {Stored{Texts: map[string]map[string]string{Email: {"nl": "Dag"}}, HTML: map[string]string{"nl": strings.Repeat("x", 200_000)}}, "html_too_long"},
			"right":                  {Stored{Texts: map[string]map[string]string{Email: {"nl": "Dag"}}, HTML: map[string]string{"nl": "<p>Dag</p>"}}, ""},
			"a draft may have a gap": {Stored{Draft: true, Texts: map[string]map[string]string{Email: {"nl": ""}}, HTML: map[string]string{"nl": ""}}, ""},
		} {
			c.t.Name = "klaar"
			_, err := b.o.PutTemplate(b.t.Context(), c.t, "till")
			bad, refused := errors.AsType[*queue.Invalid](err)
			if refused != (c.code != "") || refused && (bad.Code != c.code || !strings.HasPrefix(bad.Field, "html.")) || err != nil && !refused {
				b.t.Errorf("%s: %v", name, err)
			}
		}
		// Another HTML is another version.
		one := Stored{Name: "apk", Texts: map[string]map[string]string{Email: {"nl": "Dag"}}, HTML: map[string]string{"nl": "<p>Dag</p>"}}
		for i, want := range []int{1, 1, 2} {
			if i == 2 {
				one.HTML = map[string]string{"nl": "<p>Hallo</p>"}
			}
			if got, err := b.o.PutTemplate(b.t.Context(), one, "till"); err != nil || got.Version != want {
				b.t.Errorf("%d: %+v, %v", i, got, err)
			}
		}
	})
}
