package at

import "bytes"

// maxLine is the longest line we keep. The longest honest one is a PDU of 176
// octets in hex behind its SMSC field; beyond 2 kB it is another port's
// binary stream.
const maxLine = 2048

// cutter cuts what the port delivers into lines. CR and LF both end one, so
// that "OK" CR CR LF is one OK; blank lines vanish, for nothing we ask for
// means anything by them; control bytes inside a line (NUL at power-up, the
// echo of Ctrl-Z) are dropped; a line over maxLine is dropped whole.
type cutter struct {
	buf     []byte
	over    bool // dropping the rest of an over-long line
	dropped int  // over-long lines so far
}

// cut consumes p and calls line for each whole line. While wanted returns
// true, a ">" at the beginning of a line, or behind the echo it names, is a
// prompt at once: it comes without a line end (27.005 §3.5.1).
func (c *cutter) cut(p []byte, wanted func() (echo string, ok bool), line func(s string), prompt func()) {
	for _, b := range p {
		switch {
		case b == '\r' || b == '\n':
			s := string(bytes.TrimSpace(c.buf))
			c.buf = c.buf[:0]
			if c.over {
				c.over = false
				c.dropped++
				continue
			}
			if s != "" {
				line(s)
			}
			continue
		case c.over, b < ' ' && b != '\t', b == 0x7F:
			continue
		case len(c.buf) == maxLine:
			c.over = true
			c.buf = c.buf[:0]
			continue
		}
		c.buf = append(c.buf, b)
		if b != '>' {
			continue
		}
		echo, ok := wanted()
		if !ok {
			continue
		}
		if before := string(bytes.TrimSpace(c.buf[:len(c.buf)-1])); before == "" || before == echo {
			c.buf = c.buf[:0]
			prompt()
		}
	}
}
