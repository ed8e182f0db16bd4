package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
)

// bbolt trusts its file: a wrong page number, a cut-off file or a wild length
// is a panic, at open even one in a goroutine of bbolt's own where nobody can
// recover it. So the pages are looked at before bbolt sees them, with plain
// reads and bounds. The layout is the one of bbolt 1.5 (file format 2):
//
//	page:   id 8, flags 2, count 2, overflow 4, then count elements
//	branch: pos 4, key size 4, page 8
//	leaf:   flags 4, pos 4, key size 4, value size 4; the value follows its key
//	bucket: root page 8, sequence 8; root 0: one leaf page follows right here
//	header: magic 4, version 4, page size 4, flags 4, root bucket 16,
//	        free list 8, pages in use 8, transaction 8, FNV-64a of the above 8
//
// pos counts from the start of its element. Integers are in the machine's
// order: a file does not move between machines of different order.
const (
	pageHeader   = 16
	pageElement  = 16
	bucketHeader = 16

	branchPage = 0x01
	leafPage   = 0x02

	bucketFlag = 0x01

	headerMagic   = 0xED0CDAED
	headerVersion = 2
	headerSum     = 56 // offset of the checksum
)

var order = binary.NativeEndian

// header is one of the two headers of a file. The valid one with the higher
// transaction counts.
type header struct {
	root        uint64 // page of the root bucket
	high        uint64 // pages at and above are not in use
	transaction uint64
}

// readHeaders reads both headers. bad says how many cannot be read: one is
// what a power cut in the middle of a commit may leave.
func readHeaders(r io.ReaderAt) (h header, bad int, err error) {
	buf := make([]byte, pageSize)
	for page := range int64(2) {
		n, err := r.ReadAt(buf, page*pageSize)
		if err != nil && err != io.EOF {
			return h, 2, err
		}
		one, ok := parseHeader(buf[:n])
		switch {
		case !ok:
			bad++
		case one.transaction >= h.transaction:
			h = one
		}
	}
	return h, bad, nil
}

func parseHeader(page []byte) (h header, ok bool) {
	if len(page) < pageHeader+headerSum+8 {
		return h, false
	}
	b := page[pageHeader:]
	sum := fnv.New64a()
	sum.Write(b[:headerSum])
	if order.Uint32(b) != headerMagic || order.Uint32(b[4:]) != headerVersion ||
		order.Uint32(b[8:]) != pageSize || order.Uint64(b[headerSum:]) != sum.Sum64() {
		return h, false
	}
	return header{root: order.Uint64(b[16:]), high: order.Uint64(b[40:]), transaction: order.Uint64(b[48:])}, true
}

// pages walks the pages that a header reaches.
type pages struct {
	r    io.ReaderAt
	high uint64
	seen []bool
	bufs [][]byte // one for each level of the walk
}

// checkPages reads every page in use below root, and returns what is wrong
// with the first that bbolt would stumble over.
func checkPages(r io.ReaderAt, root, high uint64) error {
	p := &pages{r: r, high: high, seen: make([]bool, high)}
	return p.tree(root, nil, nil, 0)
}

// tree checks the page id and all below it. Its keys must lie in [low, end);
// nil is no bound.
func (p *pages) tree(id uint64, low, end []byte, depth int) error {
	page, err := p.read(id, depth)
	if err != nil {
		return fmt.Errorf("page %d: %w", id, err)
	}
	flags, count := order.Uint16(page[8:]), int(order.Uint16(page[10:]))
	switch flags {
	case leafPage:
		if err := p.leaf(page, count, low, end, depth); err != nil {
			return fmt.Errorf("page %d: %w", id, err)
		}
		return nil
	case branchPage:
		return p.branch(id, page, count, low, end, depth)
	}
	return fmt.Errorf("page %d: not a page of a table (kind %#x)", id, flags)
}

func (p *pages) branch(id uint64, page []byte, count int, low, end []byte, depth int) error {
	if count == 0 || pageHeader+count*pageElement > len(page) {
		return fmt.Errorf("page %d: %d entries cannot be", id, count)
	}
	key := func(i int) ([]byte, error) {
		at := pageHeader + i*pageElement
		return cut(page, at, order.Uint32(page[at:]), order.Uint32(page[at+4:]))
	}
	first, err := key(0)
	if err != nil {
		return fmt.Errorf("page %d: %w", id, err)
	}
	if bytes.Compare(first, low) < 0 {
		return fmt.Errorf("page %d: keys out of order", id)
	}
	for i, k := 0, first; i < count; i++ {
		next := end
		if i+1 < count {
			if next, err = key(i + 1); err != nil {
				return fmt.Errorf("page %d: %w", id, err)
			}
		}
		if next != nil && bytes.Compare(k, next) >= 0 {
			return fmt.Errorf("page %d: keys out of order", id)
		}
		child := order.Uint64(page[pageHeader+i*pageElement+8:])
		if err := p.tree(child, k, next, depth+1); err != nil {
			return err
		}
		k = next
	}
	return nil
}

func (p *pages) leaf(page []byte, count int, low, end []byte, depth int) error {
	if pageHeader+count*pageElement > len(page) {
		return fmt.Errorf("%d entries cannot be", count)
	}
	for i := range count {
		at := pageHeader + i*pageElement
		flags, pos := order.Uint32(page[at:]), order.Uint32(page[at+4:])
		size := order.Uint32(page[at+8:])
		key, err := cut(page, at, pos, size)
		if err != nil {
			return err
		}
		value, err := cut(page, at, pos+size, order.Uint32(page[at+12:]))
		if err != nil {
			return err
		}
		if c := bytes.Compare(low, key); c > 0 || i > 0 && c == 0 || end != nil && bytes.Compare(key, end) >= 0 {
			return fmt.Errorf("keys out of order")
		}
		low = key
		if flags&bucketFlag == 0 {
			continue
		}
		if err := p.bucket(value, depth); err != nil {
			return fmt.Errorf("%q: %w", key, err)
		}
	}
	return nil
}

func (p *pages) bucket(value []byte, depth int) error {
	if len(value) < bucketHeader {
		return fmt.Errorf("a table without a header")
	}
	if root := order.Uint64(value); root != 0 {
		return p.tree(root, nil, nil, depth+1)
	}
	inline := value[bucketHeader:]
	if len(inline) < pageHeader || order.Uint16(inline[8:]) != leafPage {
		return fmt.Errorf("a table without a page")
	}
	return p.leaf(inline, int(order.Uint16(inline[10:])), nil, nil, depth)
}

// read reads page id, with the pages that continue it, into the buffer of its
// level: the levels above still use theirs.
func (p *pages) read(id uint64, depth int) ([]byte, error) {
	if id < 2 || id >= p.high {
		return nil, fmt.Errorf("beyond the %d pages in use", p.high)
	}
	if depth == len(p.bufs) {
		p.bufs = append(p.bufs, make([]byte, pageSize))
	}
	buf := p.bufs[depth][:pageSize]
	if _, err := p.r.ReadAt(buf, int64(id)*pageSize); err != nil {
		return nil, err
	}
	if self := order.Uint64(buf); self != id {
		return nil, fmt.Errorf("it says it is page %d", self)
	}
	more := uint64(order.Uint32(buf[12:]))
	if more >= p.high-id {
		return nil, fmt.Errorf("it goes on beyond the %d pages in use", p.high)
	}
	for n := range more + 1 {
		if p.seen[id+n] {
			return nil, fmt.Errorf("in use twice")
		}
		p.seen[id+n] = true
	}
	if more == 0 {
		return buf, nil
	}
	buf = make([]byte, (more+1)*pageSize)
	_, err := p.r.ReadAt(buf, int64(id)*pageSize)
	return buf, err
}

// cut returns size bytes of page, pos bytes after at.
func cut(page []byte, at int, pos, size uint32) ([]byte, error) {
	from := uint64(at) + uint64(pos)
	if from+uint64(size) > uint64(len(page)) {
		return nil, fmt.Errorf("an entry reaches beyond the page")
	}
	return page[from : from+uint64(size)], nil
}
