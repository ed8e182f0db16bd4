package webui

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"tillpost/webui/api"
	"tillpost/webui/api/wire"
)

// The mail server has a page of its own among the settings: failure texts lead
// there, and it is the one way out that a person cannot just plug in. What it
// keeps are the settings email.* of the one schema.

// mailFields are the settings that this page asks for, in the order of a person
// who has the provider's letter in hand. The others stand among the values.
var mailFields = []struct{ Key, Kind, Example string }{
	{"email.host", "text", "mail.example"},
	{"email.port", "number", "587"},
	{"email.user", "text", "shop"},
	{"email.password", "secret", ""},
	{"email.from", "text", "Shop <shop@example.nl>"},
	{"email.reply_to", "text", ""},
	{"email.forward_inbox", "list", "shop@example.nl"},
	{"email.messages_per_minute", "number", ""},
}

// mailField is one of them as it is in force, or as it was typed.
type mailField struct {
	Name    string // host: also the end of its key in words.csv
	Kind    string // text | number | secret | list, of which the parts have commas between
	Example string
	Value   string
	Set     bool // a secret that is kept
	Fixed   bool // by the boot file
}

// readMail shows what is in force. typed, where it is not nil, goes before that.
func (v *settingsView) readMail(typed func(name string) string) {
	if v.site.cfg.Stored == nil {
		return
	}
	all := v.site.cfg.Stored.List()
	for _, m := range mailFields {
		f := mailField{Name: strings.TrimPrefix(m.Key, "email."), Kind: m.Kind, Example: m.Example}
		if i := slices.IndexFunc(all, func(s wire.Setting) bool { return s.Key == m.Key }); i >= 0 {
			f.Fixed = all[i].Fixed || all[i].Origin == wire.OriginFile
			f.Value = typedValue(all[i].Value)
		}
		if m.Kind == "secret" {
			f.Set, f.Value = f.Value != "", ""
		} else if typed != nil && !f.Fixed {
			f.Value = typed(f.Name)
		}
		v.Mail = append(v.Mail, f)
	}
}

// typedValue writes a value as a person types it; what was never set is empty.
func typedValue(value any) string {
	switch said := value.(type) {
	case string:
		return said
	case int:
		return itoaOrEmpty(int64(said))
	case int64:
		return itoaOrEmpty(said)
	case float64:
		return itoaOrEmpty(int64(said))
	case []any:
		parts := make([]string, len(said))
		for i := range said {
			parts[i] = typedValue(said[i])
		}
		return strings.Join(parts, ", ")
	}
	return ""
}

func itoaOrEmpty(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

// setMail keeps the mail server, or forgets it. The box then begins anew with it.
func (s *Site) setMail(w http.ResponseWriter, r *http.Request) {
	if err := form(w, r); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	v := s.newSettings(r, "email")
	typed := func(name string) string { return strings.TrimSpace(r.PostForm.Get(name)) }
	v.readMail(typed)
	change := map[string]any{}
	for _, f := range v.Mail {
		value := typed(f.Name)
		switch {
		case f.Fixed:
		case r.PostForm.Get("do") == "none":
			change["email."+f.Name] = nil
		case f.Kind == "secret" && value == "": // it keeps the one it has
		case value == "":
			change["email."+f.Name] = nil
		case f.Kind == "number":
			n, err := strconv.Atoi(value)
			if err != nil {
				v.Wrong = v.T("wrong_value", "name", v.T("email_"+f.Name), "value", value)
				s.renderSettings(w, http.StatusBadRequest, v)
				return
			}
			change["email."+f.Name] = n
		case f.Kind == "list":
			change["email."+f.Name] = listed(value)
		default:
			change["email."+f.Name] = value
		}
	}
	if len(change) == 0 {
		v.Wrong = v.T("email_fixed")
		s.renderSettings(w, http.StatusConflict, v)
		return
	}
	s.keepSettings(w, r, v, change, v.T("email_kept"))
}

// listed are the parts of a list as people type one.
func listed(value string) []string {
	return strings.FieldsFunc(value, func(r rune) bool { return unicode.IsSpace(r) || r == ',' || r == ';' })
}

// Hidden stands in the field of a secret that is kept, and is not shown.
func (f mailField) Hidden() string {
	if f.Set {
		return api.SecretShown
	}
	return ""
}
