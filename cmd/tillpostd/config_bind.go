package main

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"

	"tillpost/queue/outreach"
)

// A problem is one fault of the boot file: where, which key, and what to do.
type problem struct {
	file string
	line int    // 0: the file as a whole
	key  string // as the schema names it: modem.port
	text string
	mild bool // a warning: the daemon starts all the same
}

func (p problem) String() string {
	where := p.file
	if p.line > 0 {
		where = fmt.Sprintf("%s:%d", p.file, p.line)
	}
	if p.key != "" {
		where += ": " + p.key
	}
	if p.mild {
		where = "warning: " + where
	}
	return where + ": " + p.text
}

// problems collects every fault, so that a person mends them in one go.
type problems struct {
	file  string
	lines map[string]int // path → line, see keyLines
	list  []problem
}

// fault notes what is wrong at path and the remedy; warn notes a mild one.
func (ps *problems) fault(path, format string, args ...any) { ps.add(path, false, format, args) }
func (ps *problems) warn(path, format string, args ...any)  { ps.add(path, true, format, args) }

func (ps *problems) add(path string, mild bool, format string, args []any) {
	ps.list = append(ps.list, problem{
		file: ps.file,
		line: ps.line(path),
		key:  withoutIndexes(path),
		text: fmt.Sprintf(format, args...),
		mild: mild,
	})
}

// line is where path stands, or the table it is missing from.
func (ps *problems) line(path string) int {
	for path != "" {
		if n, ok := ps.lines[path]; ok {
			return n
		}
		cut := max(strings.LastIndexByte(path, '.'), 0)
		if i := strings.LastIndexByte(path, '['); i > cut {
			cut = i
		}
		path = path[:cut]
	}
	return 0
}

// fatal reports whether any problem keeps the daemon from starting.
func (ps *problems) fatal() bool {
	return slices.ContainsFunc(ps.list, func(p problem) bool { return !p.mild })
}

// bind copies a decoded TOML tree into a struct by its toml tags. It is ours
// because the library stops at the first value of a wrong type, and because
// it forgets which table of an array a key belongs to; -check must name every
// problem by its line.
func (ps *problems) bind(path string, tree map[string]any, into reflect.Value) {
	known := fields(into.Type())
	for _, key := range sortedKeys(tree) {
		at := join(path, key)
		index, ok := known[key]
		if !ok {
			ps.fault(at, "%s", unknownKey(path, key, into.Type()))
			continue
		}
		ps.value(at, tree[key], into.Field(index))
	}
}

var durationType = reflect.TypeFor[time.Duration]()

func (ps *problems) value(path string, v any, into reflect.Value) {
	if into.Type() == durationType {
		ps.duration(path, v, into)
		return
	}
	switch into.Kind() {
	case reflect.String:
		if s, ok := v.(string); ok {
			into.SetString(s)
			return
		}
		ps.fault(path, "is %s, must be text in quotes", kindOf(v))
	case reflect.Bool:
		if b, ok := v.(bool); ok {
			into.SetBool(b)
			return
		}
		ps.fault(path, "is %s, must be true or false", kindOf(v))
	case reflect.Int:
		n, ok := v.(int64)
		if !ok || n < math.MinInt32 || n > math.MaxInt32 {
			ps.fault(path, "is %s, must be a whole number without quotes", kindOf(v))
			return
		}
		into.SetInt(n)
	case reflect.Pointer:
		into.Set(fresh(into.Type().Elem()))
		ps.value(path, v, into.Elem())
	case reflect.Struct:
		tree, ok := v.(map[string]any)
		if !ok {
			ps.fault(path, "is %s, must be a table: write [%s] on a line of its own", kindOf(v), path)
			return
		}
		ps.bind(path, tree, into)
	case reflect.Slice:
		ps.slice(path, v, into)
	default:
		panic("config: schema field of kind " + into.Kind().String())
	}
}

func (ps *problems) duration(path string, v any, into reflect.Value) {
	s, ok := v.(string)
	if !ok {
		ps.fault(path, `is %s, must be a time with its unit in quotes, such as "180s" or "24h"`, kindOf(v))
		return
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		ps.fault(path, `%q is not a time with its unit: write "180s", "5m" or "24h"`, s)
		return
	}
	into.SetInt(int64(d))
}

// slice fills a list of texts or, for [[tables]], a list of structs.
func (ps *problems) slice(path string, v any, into reflect.Value) {
	item := into.Type().Elem()
	if item.Kind() != reflect.Struct {
		list, ok := v.([]any)
		if !ok {
			ps.fault(path, `is %s, must be a list: ["…", "…"]`, kindOf(v))
			return
		}
		into.Set(reflect.MakeSlice(into.Type(), len(list), len(list)))
		for i := range list {
			ps.value(fmt.Sprintf("%s[%d]", path, i), list[i], into.Index(i))
		}
		return
	}
	tables, ok := v.([]map[string]any)
	if !ok {
		ps.fault(path, "is %s, must be a list of tables: write [[%s]], with two brackets, before each", kindOf(v), path)
		return
	}
	for i, tree := range tables {
		one := fresh(item).Elem()
		ps.bind(fmt.Sprintf("%s[%d]", path, i), tree, one)
		into.Set(reflect.Append(into, one))
	}
}

// fresh is a pointer to a new value with its defaults set.
func fresh(t reflect.Type) reflect.Value {
	v := reflect.New(t)
	if d, ok := v.Interface().(interface{ defaults() }); ok {
		d.defaults()
	}
	return v
}

// fields maps the toml tags of a struct to its fields.
func fields(t reflect.Type) map[string]int {
	m := make(map[string]int)
	for i := range t.NumField() {
		if tag := t.Field(i).Tag.Get("toml"); tag != "" {
			m[tag] = i
		}
	}
	return m
}

// unknownKey words the refusal of a key, with the nearest one that exists, or
// the table where this one would be right.
func unknownKey(path, key string, t reflect.Type) string {
	if near := outreach.Nearest(key, sortedKeys(fields(t))); near != "" {
		return fmt.Sprintf("this key is not known; did you mean %q?", near)
	}
	top := reflect.TypeFor[Config]()
	tables := fields(top)
	for _, tag := range sortedKeys(tables) {
		inner := top.Field(tables[tag]).Type
		for inner.Kind() == reflect.Pointer || inner.Kind() == reflect.Slice {
			inner = inner.Elem()
		}
		if inner.Kind() != reflect.Struct || tag == withoutIndexes(path) {
			continue
		}
		if _, ok := fields(inner)[key]; ok {
			return fmt.Sprintf("this key is not known here; it belongs below [%s]", tag)
		}
	}
	if _, ok := tables[key]; ok {
		return "this key is not known here; it belongs at the top of the file, before the first [table]"
	}
	return "this key is not known; known here are " + strings.Join(sortedKeys(fields(t)), ", ")
}

// keyLines finds the line of every key and table by its path, such as
// "modem[1].port". The file has been parsed without error before.
func keyLines(file string) map[string]int {
	lines := make(map[string]int)
	tables := make(map[string]int) // how many [[name]] so far
	prefix, multi := "", ""
	for i, line := range strings.Split(file, "\n") {
		line = strings.TrimSpace(line)
		if multi != "" { // inside a text of several lines
			if strings.Contains(line, multi) {
				multi = ""
			}
			continue
		}
		name, value, isKey := strings.Cut(line, "=")
		switch {
		case strings.HasPrefix(line, "[["):
			name := bare(line)
			prefix = fmt.Sprintf("%s[%d]", name, tables[name])
			tables[name]++
			if _, seen := lines[name]; !seen {
				lines[name] = i + 1
			}
			lines[prefix] = i + 1
		case strings.HasPrefix(line, "[") && prefixClosed(line):
			prefix = bare(line)
			lines[prefix] = i + 1
		case isKey && !strings.HasPrefix(line, "#"):
			lines[join(prefix, bare(name))] = i + 1
			for _, quote := range []string{`"""`, `'''`} {
				if strings.Count(value, quote) == 1 {
					multi = quote
				}
			}
		}
	}
	return lines
}

// prefixClosed tells the header [table] from a line of a list that begins
// with a bracket: nothing but a comment follows the header's bracket.
func prefixClosed(line string) bool {
	_, rest, found := strings.Cut(line, "]")
	rest = strings.TrimSpace(rest)
	return found && (rest == "" || rest[0] == '#')
}

// bare takes brackets, quotes, blanks and a trailing comment from a key.
func bare(s string) string {
	if end := strings.IndexByte(s, ']'); end >= 0 {
		s = s[:end]
	}
	return strings.NewReplacer("[", "", `"`, "", "'", "", " ", "", "\t", "").Replace(s)
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// withoutIndexes turns modem[1].port into modem.port, as the schema names it.
func withoutIndexes(path string) string {
	var b strings.Builder
	skip := false
	for _, r := range path {
		switch {
		case r == '[':
			skip = true
		case r == ']':
			skip = false
		case !skip:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// kindOf names a TOML value in words; it never repeats the value, which may
// be a secret in the wrong place.
func kindOf(v any) string {
	switch v.(type) {
	case string:
		return "a text"
	case bool:
		return "true or false"
	case int64:
		return "a number"
	case float64:
		return "a number with a fraction"
	case map[string]any, []map[string]any:
		return "a table"
	case []any:
		return "a list"
	}
	return "a date"
}
