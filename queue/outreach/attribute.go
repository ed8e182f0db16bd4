package outreach

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Type of an attribute.
type Type string

const (
	TypeText   Type = "text"
	TypeNumber Type = "number"
	TypeDate   Type = "date"   // 2027-04-23
	TypeYesNo  Type = "yes/no" // true and false in JSON
	TypeList   Type = "list"   // of texts
)

var types = []Type{TypeText, TypeNumber, TypeDate, TypeYesNo, TypeList}

// Value is one attribute of a contact or of a booking. In JSON it is a text, a
// number, true or false, or a list of texts; a text that is a date is a date.
type Value struct {
	Type Type
	Text string   // as it is written: 2027-04-23, 12.50, yes
	List []string // of TypeList

	noDay bool // came in looking like a day that does not exist; refused where it is taken over
}

const (
	yes = "yes"
	no  = "no"
)

var (
	dayForm    = regexp.MustCompile(`^([0-9]{1,2}[-./][0-9]{1,2}[-./][0-9]{4}|[0-9]{4}-[0-9]{2}-[0-9]{2})$`) // as people write it, possible or not
	dateForm   = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}$`)
	numberForm = regexp.MustCompile(`^-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,6})?$`) // 0612345678 is none
)

// textValue is what a text without a declared type is.
func textValue(s string) Value {
	s = strings.TrimSpace(s)
	switch {
	case isDate(s):
		return Value{Type: TypeDate, Text: s}
	case numberForm.MatchString(s):
		return Value{Type: TypeNumber, Text: s}
	}
	return Value{Type: TypeText, Text: s}
}

func isDate(s string) bool {
	if !dateForm.MatchString(s) {
		return false
	}
	_, err := time.Parse(time.DateOnly, s)
	return err == nil
}

// yesWords and noWords in the four languages, as files have them.
var (
	yesWords = words("yes y true 1 x ja j on si oui")
	noWords  = words("no n false 0 - nee nej nein off non")
)

// Types lists them, for who lets a person choose.
func Types() []Type { return slices.Clone(types) }

// Typed reads a value as a file or a person writes it: 12,50, 23-04-2027, ja,
// "a, b". Empty is no value. Its error says what to write.
func Typed(s string, t Type) (Value, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return Value{}, nil
	}
	switch t {
	case TypeText:
		return Value{Type: t, Text: s}, nil
	case TypeNumber:
		n := strings.ReplaceAll(strings.ReplaceAll(s, " ", ""), ",", ".")
		if _, err := strconv.ParseFloat(n, 64); err != nil {
			return Value{}, fmt.Errorf("%q is not a number; write 1250 or 12,50", s)
		}
		return Value{Type: t, Text: n}, nil
	case TypeDate:
		d, err := readDate(s)
		if err != nil {
			return Value{}, err
		}
		return Value{Type: t, Text: d}, nil
	case TypeYesNo:
		b, err := readYesNo(s)
		if err != nil {
			return Value{}, err
		}
		return yesNo(b), nil
	case TypeList:
		v := Value{Type: t}
		for _, item := range strings.FieldsFunc(s, func(r rune) bool { return r == '|' || r == ',' || r == ';' }) {
			if item = strings.TrimSpace(item); item != "" {
				v.List = append(v.List, item)
			}
		}
		return v, nil
	}
	return Value{}, fmt.Errorf("%q is no type; write one of %s", t, joined(types))
}

func yesNo(b bool) Value {
	if b {
		return Value{Type: TypeYesNo, Text: yes}
	}
	return Value{Type: TypeYesNo, Text: no}
}

func readYesNo(s string) (bool, error) {
	switch w := strings.ToLower(strings.TrimSpace(s)); {
	case yesWords[w]:
		return true, nil
	case noWords[w]:
		return false, nil
	}
	return false, fmt.Errorf("%q is neither yes nor no; write yes or no", s)
}

// dateForms are how programs of the four countries write a day. Three of them
// put the day first, so that 03/04 is 3 April; the fourth writes ISO 8601.
var dateForms = []string{time.DateOnly, "2-1-2006", "2.1.2006", "2/1/2006", "20060102", "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04"}

// readDate reads a day as files write it and returns it as 2027-04-23.
func readDate(s string) (string, error) {
	for _, form := range dateForms {
		if t, err := time.Parse(form, strings.TrimSpace(s)); err == nil {
			return t.Format(time.DateOnly), nil
		}
	}
	return "", fmt.Errorf("%q is not a date; write 2027-04-23 or 23-04-2027", s)
}

// String is the value as a template writes it.
func (v Value) String() string {
	if v.Type == TypeList {
		return strings.Join(v.List, ", ")
	}
	return v.Text
}

// IsZero: there is no value.
func (v Value) IsZero() bool { return v.Text == "" && len(v.List) == 0 }

func (v Value) equal(o Value) bool {
	return v.Type == o.Type && v.Text == o.Text && slices.Equal(v.List, o.List)
}

func (v Value) number() (float64, bool) {
	n, err := strconv.ParseFloat(v.Text, 64)
	return n, err == nil && v.Type != TypeList
}

// MarshalJSON writes the natural form.
func (v Value) MarshalJSON() ([]byte, error) {
	switch v.Type {
	case TypeNumber:
		return []byte(v.Text), nil
	case TypeYesNo:
		return strconv.AppendBool(nil, v.Text == yes), nil
	case TypeList:
		return json.Marshal(v.List)
	}
	return json.Marshal(v.Text)
}

// UnmarshalJSON reads it; null is no value.
func (v *Value) UnmarshalJSON(raw []byte) error {
	switch c := raw[0]; {
	case c == '"':
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			return err
		}
		*v = givenText(s)
	case c == 't', c == 'f':
		*v = yesNo(c == 't')
	case c == 'n':
		*v = Value{}
	case c == '[':
		*v = Value{Type: TypeList}
		var items []json.RawMessage
		if err := json.Unmarshal(raw, &items); err != nil {
			return err
		}
		for _, item := range items {
			var one Value
			if err := one.UnmarshalJSON(item); err != nil || one.Type != TypeText && one.Type != TypeNumber && one.Type != TypeDate {
				return fmt.Errorf("a list holds texts in quotes or numbers, and %s is neither. Write [100, 300] or [\"a\", \"b\"]", item)
			}
			v.List = append(v.List, one.Text)
		}
	case c == '{':
		return errors.New("a value is a text, a number, true, false, or a list of texts")
	default:
		*v = Value{Type: TypeNumber, Text: string(raw)}
	}
	return nil
}

// givenText is a text that came without a type: a day is one however it is
// written, as in a file.
func givenText(s string) Value {
	day := strings.TrimSpace(s)
	if !dayForm.MatchString(day) {
		return Value{Type: TypeText, Text: s}
	}
	d, err := readDate(day)
	if err != nil {
		return Value{Type: TypeText, Text: s, noDay: true}
	}
	return Value{Type: TypeDate, Text: d}
}

// FoldName is how the name of an attribute is kept and compared: capitals,
// blanks around it and the way an accent was typed mean nothing.
func FoldName(name string) string { return fold(name) }

// Attributes by folded name.
type Attributes map[string]Value

// UnmarshalJSON folds the names, so that Punten and punten are one attribute.
func (a *Attributes) UnmarshalJSON(raw []byte) error {
	var given map[string]Value
	if err := json.Unmarshal(raw, &given); err != nil {
		return err
	}
	*a = make(Attributes, len(given))
	for name, v := range given {
		folded := fold(name)
		if folded == "" {
			return errors.New("an attribute has no name")
		}
		if _, twice := (*a)[folded]; twice {
			return fmt.Errorf("attribute %q is there twice; capitals and blanks do not tell names apart", folded)
		}
		if !v.IsZero() {
			(*a)[folded] = v
		}
	}
	return nil
}

func joined[S ~string](list []S) string {
	texts := make([]string, len(list))
	for i, s := range list {
		texts[i] = string(s)
	}
	return strings.Join(texts, ", ")
}
