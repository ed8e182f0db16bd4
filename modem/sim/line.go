package sim

import (
	"errors"
	"strings"
)

// command is one command of a command line.
type command struct {
	name string // upper case, with its sign: "+CMGS", "^CURC", "E", "&F", "S3"
	op   op
	args []string // for a set, without quotes; an omitted one is empty
	raw  string   // the arguments as written
}

type op byte

const (
	run  op = iota // AT+X
	set            // AT+X=…
	read           // AT+X?
	test           // AT+X=?
)

// errLine: V.250 knows no such command line. The modem answers ERROR.
var errLine = errors.New("not a command line")

// body finds what follows the "AT" of a line; ok is false for a line without
// one, which a modem ignores (V.250 §5.2).
func body(line string) (string, bool) {
	for i := 1; i < len(line); i++ { // by octet: noise is not UTF-8
		if line[i-1]|0x20 == 'a' && line[i]|0x20 == 't' {
			return line[i+1:], true
		}
	}
	return "", false
}

// parseLine cuts the body of a command line into its commands (V.250 §5.2.1,
// §5.3, §5.4): basic commands follow each other, extended ones end with a
// semicolon, quotes protect both.
func parseLine(s string) ([]command, error) {
	var cmds []command
	for {
		s = strings.TrimLeft(s, " ;")
		if s == "" {
			return cmds, nil
		}
		var c command
		var err error
		if isExtended(s[0]) {
			c, s, err = parseExtended(s)
		} else {
			c, s, err = parseBasic(s)
		}
		if err != nil {
			return nil, err
		}
		cmds = append(cmds, c)
	}
}

func isExtended(b byte) bool { return strings.IndexByte("+^#$*%_", b) >= 0 }

func isDigit(b byte) bool { return b >= '0' && b <= '9' }

func isLetter(b byte) bool { return b|0x20 >= 'a' && b|0x20 <= 'z' }

// parseBasic reads a letter, or & and a letter, and a number; S takes = and ?
// like the extended ones; D takes the rest of the line (V.250 §5.3.1, §5.3.2).
func parseBasic(s string) (command, string, error) {
	n := 1
	if s[0] == '&' {
		n = 2
	}
	if len(s) < n || !isLetter(s[n-1]) {
		return command{}, "", errLine
	}
	c := command{name: strings.ToUpper(s[:n])}
	s = s[n:]
	digits := 0
	for digits < len(s) && isDigit(s[digits]) {
		digits++
	}
	switch {
	case c.name == "D":
		c.op, c.raw, c.args = set, s, []string{s}
		return c, "", nil
	case c.name == "S":
		c.name += s[:digits]
		return parseTail(c, s[digits:])
	}
	c.raw, c.args = s[:digits], []string{s[:digits]}
	return c, s[digits:], nil
}

func parseExtended(s string) (command, string, error) {
	n := 1
	for n < len(s) && (isLetter(s[n]) || isDigit(s[n])) {
		n++
	}
	if n == 1 {
		return command{}, "", errLine
	}
	return parseTail(command{name: strings.ToUpper(s[:n])}, s[n:])
}

// parseTail reads what follows a name, up to a semicolon outside quotes.
func parseTail(c command, s string) (command, string, error) {
	tail, rest, err := beforeSemicolon(s)
	if err != nil {
		return command{}, "", err
	}
	tail = strings.TrimSpace(tail)
	switch {
	case tail == "":
		return c, rest, nil
	case tail == "?":
		c.op = read
		return c, rest, nil
	case tail == "=?":
		c.op = test
		return c, rest, nil
	case tail[0] != '=':
		return command{}, "", errLine
	}
	c.op, c.raw = set, tail[1:]
	c.args = splitArgs(c.raw)
	return c, rest, nil
}

func beforeSemicolon(s string) (before, after string, err error) {
	quoted := false
	for i := range len(s) {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case s[i] == ';' && !quoted:
			return s[:i], s[i+1:], nil
		}
	}
	if quoted {
		return "", "", errLine
	}
	return s, "", nil
}

// splitArgs cuts at commas outside quotes and takes the quotes off.
func splitArgs(s string) []string {
	var args []string
	var arg strings.Builder
	quoted := false
	for i := range len(s) {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case s[i] == ',' && !quoted:
			args = append(args, arg.String())
			arg.Reset()
		case s[i] == ' ' && !quoted:
		default:
			arg.WriteByte(s[i])
		}
	}
	return append(args, arg.String())
}
