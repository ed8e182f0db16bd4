package outreach

import (
	"errors"
	"html"
	"regexp"
	"slices"
	"strings"

	"tillpost/queue"
	"tillpost/queue/text"
)

// The HTML form of an e-mail stands beside its text, in the same language and
// with the same placeholders. What a value says is text: it brings no markup
// along, whoever typed it.

// unread are the parts of HTML that no reader sees; what looks like a
// placeholder there is one of another language: {margin}, <!--[if mso]>.
var unread = regexp.MustCompile(`(?is)<!--.*?-->|<style\b.*?</style\s*>|<script\b.*?</script\s*>`)

// parseHTML is Parse for the HTML form of a text.
func parseHTML(s string, names Names, rules Rules) (*Template, error) {
	if bad, ok := errors.AsType[*text.Error](text.CheckHTML(s)); ok {
		return nil, &queue.Invalid{Field: "template", Code: bad.Code, Detail: bad.Detail}
	}
	t, known, err := begin(s, names, rules)
	if err != nil {
		return nil, err
	}
	hidden := unread.FindAllStringIndex(s, -1)
	found := slices.DeleteFunc(findMarks(s, known), func(m mark) bool {
		return slices.ContainsFunc(hidden, func(span []int) bool { return span[0] <= m.from && m.from < span[1] })
	})
	t.fill(s, found, known)
	return t, nil
}

// renderHTML writes it for one reader. It is empty where a sentence would have to
// be left out: nobody knows which tags go with it, so that reader has the text
// alone. Errors are those of Render.
func (t *Template) renderHTML(vars Vars, lang string) (string, error) {
	if t.refused != nil {
		return "", t.refused
	}
	var out strings.Builder
	var lacks []string
	for _, sen := range t.sentences {
		for _, p := range sen.pieces {
			if p.name == "" {
				out.WriteString(p.text)
				continue
			}
			value := t.value(p.name, vars, lang)
			if value == "" && !slices.Contains(lacks, p.text) {
				lacks = append(lacks, p.text)
			}
			out.WriteString(escaped(value))
		}
		out.WriteString(sen.tail)
	}
	switch {
	case len(lacks) > 0 && t.rules.Missing == LeaveOut:
		return "", nil
	case len(lacks) > 0:
		return "", t.lacking(lacks)
	case out.Len() > text.MaxHTML:
		return "", &queue.Invalid{Field: "vars", Code: text.CodeHTMLTooLong, Detail: "with these values the html is longer than a mail carries. Shorten them"}
	}
	return out.String(), nil
}

// escaped is a value as HTML shows it, its lines one below the other.
func escaped(value string) string {
	lines := strings.ReplaceAll(html.EscapeString(value), "\r\n", "\n")
	return strings.ReplaceAll(lines, "\n", "<br>\n")
}

// checkHTML checks the HTML forms of a template. Its error is a *queue.Invalid.
func (o *Outreach) checkHTML(t *Stored) error {
	for lang, words := range t.HTML {
		field := "html." + lang
		if t.Draft && strings.TrimSpace(words) == "" {
			continue
		}
		if strings.TrimSpace(t.Texts[Email][lang]) == "" {
			return invalid(field, "text_missing", "the html in %q has no text beside it, for readers who see no HTML. Add texts.email.%s, or leave the html out", lang, lang)
		}
		if _, err := parseHTML(words, nil, o.rules(t)); err != nil {
			return within(err, field)
		}
	}
	return nil
}
