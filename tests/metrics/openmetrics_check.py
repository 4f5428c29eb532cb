#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks OpenMetrics text strictly, and prints what it holds as JSON.

Usage: tests/metrics/openmetrics_check.py <TEXT >JSON
       tests/metrics/openmetrics_check.py --self-test

Written from the specification (OpenMetrics 1.0, "Text format" and "Data model"), not from what
Seawall prints. Reads standard input. The JSON: for each family its type, unit, help, and samples as
[name, labels, value]. --self-test: that it refuses what is wrong. Exit status: 0 valid, 1 not valid
(line and reason on standard error).
"""
import json
import math
import re
import sys

METRIC = r'[a-zA-Z_:][a-zA-Z0-9_:]*'
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"')
HELP = re.compile(r'(?:[^\\]|\\["\\n])*')
NUMBER = re.compile(r'[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?|[+-]Inf|NaN')
CANONICAL = re.compile(r'\d+\.\d+|\d(\.\d+)?e[+-]\d\d|\+Inf')
SUFFIXES = {
    'counter': ('_total', '_created'), 'gauge': ('',), 'unknown': ('',), 'info': ('_info',),
    'histogram': ('_bucket', '_count', '_sum', '_created'),
}


class Invalid(Exception):
    pass


def require(good, why):
    if not good:
        raise Invalid(why)


def parse_labels(text):
    """Of '{a="b",...}'; returns them and what follows."""
    labels = {}
    at = 1
    while text[at] != '}':
        match = LABEL.match(text, at)
        require(match, 'a label')
        name, value = match.groups()
        require(name not in labels, 'label %s twice' % name)
        require(not name.startswith('__'), 'a reserved label name')
        labels[name] = re.sub(r'\\(.)', lambda m: {'n': '\n'}.get(m[1], m[1]), value)
        at = match.end()
        require(at < len(text) and text[at] in ',}', 'behind a label')
        if text[at] == ',':
            at += 1
            require(text[at] != '}', 'a comma without a label')
    return labels, text[at + 1:]


def parse_number(text):
    require(NUMBER.fullmatch(text), 'a number: %r' % text)
    return float(text.replace('Inf', 'inf').replace('NaN', 'nan'))


class Parser:
    def __init__(self):
        self.families = {}
        self.current = None
        self.owner = {}  # of each sample name
        self.seen = set()

    def metadata(self, line):
        match = re.fullmatch(r'# (TYPE|UNIT|HELP) (%s) (.*)' % METRIC, line)
        require(match, 'metadata')
        key, name, rest = match.groups()
        if self.current != name:
            require(name not in self.families, 'family %s is interrupted' % name)
            self.families[name] = {'type': 'unknown', 'samples': []}
            self.current = name
        family = self.families[name]
        require(not family['samples'], 'metadata behind samples')
        require(key.lower() not in family or (key == 'TYPE' and not family.get('typed')),
                '%s twice' % key)
        if key == 'TYPE':
            require(rest in SUFFIXES, 'a type')
            family['typed'] = True
        if key == 'UNIT':
            require(name.endswith('_' + rest) and rest, 'the name does not end with the unit')
        if key == 'HELP':
            require(HELP.fullmatch(rest), 'escapes')
        family[key.lower()] = rest

    def sample(self, line):
        match = re.match(METRIC, line)
        require(match, 'a name')
        name = match[0]
        rest = line[match.end():]
        labels = {}
        if rest.startswith('{'):
            labels, rest = parse_labels(rest)
        require(rest.startswith(' ') and len(rest.split(' ')) == 2, 'a value, and no more')
        require(self.current is not None, 'a sample without a family')
        family = self.families[self.current]
        suffix = name[len(self.current):]
        require(name.startswith(self.current) and suffix in SUFFIXES[family['type']],
                'sample %s in family %s' % (name, self.current))
        require(self.owner.setdefault(name, self.current) == self.current, 'families clash')
        point = (name, tuple(sorted(labels.items())))
        require(point not in self.seen, 'a sample twice')
        self.seen.add(point)
        value = parse_number(rest[1:])
        if family['type'] in ('counter', 'histogram'):
            require(value >= 0 and math.isfinite(value), 'a counter')
        require(('le' in labels) == (suffix == '_bucket'), 'le')
        if suffix == '_bucket':
            require(CANONICAL.fullmatch(labels['le']), 'a canonical le: %s' % labels['le'])
        family['samples'].append([name, labels, value])

    def finish(self):
        for name, family in self.families.items():
            check_order(family['samples'])
            if family['type'] == 'histogram':
                for group in groups_of(family['samples']).values():
                    check_histogram(name, group)
            family.pop('typed', None)


def labels_key(labels):
    return tuple(sorted(item for item in labels.items() if item[0] != 'le'))


def groups_of(samples):
    groups = {}
    for sample in samples:
        groups.setdefault(labels_key(sample[1]), []).append(sample)
    return groups


def check_order(samples):
    done = set()
    last = None
    for _, labels, _ in samples:
        key = labels_key(labels)
        if key != last:
            require(key not in done, 'metrics are interleaved')
            done.add(key)
        last = key


def check_histogram(name, samples):
    buckets = [(parse_number(s[1]['le']), s[2]) for s in samples if s[0] == name + '_bucket']
    require(buckets and buckets[-1][0] == math.inf, '+Inf is missing, or not the last')
    for (le, count), (next_le, next_count) in zip(buckets, buckets[1:]):
        require(le < next_le, 'buckets out of order')
        require(count <= next_count, 'buckets are not cumulative')
    counts = [s[2] for s in samples if s[0] == name + '_count']
    sums = [s[2] for s in samples if s[0] == name + '_sum']
    require(len(counts) == 1 and len(sums) == 1, 'one count and one sum')
    require(counts[0] == buckets[-1][1], 'the count is not that of +Inf')


def parse(data):
    text = data.decode('utf-8')
    require(text.endswith('# EOF\n'), 'it does not end with # EOF')
    parser = Parser()
    for number, line in enumerate(text[:-len('# EOF\n')].split('\n')[:-1], 1):
        try:
            parser.metadata(line) if line.startswith('#') else parser.sample(line)
        except (Invalid, IndexError) as error:
            raise Invalid('line %d: %s: %s' % (number, error, line))
    require(len(text) == 6 or text[-7] == '\n', '# EOF is not a line')
    parser.finish()
    return parser.families


GOOD = '''# TYPE a_seconds histogram
# UNIT a_seconds seconds
# HELP a_seconds What.
a_seconds_bucket{x="1",le="1e-05"} 1
a_seconds_bucket{x="1",le="+Inf"} 2
a_seconds_count{x="1"} 2
a_seconds_sum{x="1"} 0.5
# TYPE b counter
b_total{x="\\\\\\n"} 3
# EOF
'''
BAD = [('# EOF\n', ''), ('# EOF\n', '# EOF\nb_total 1\n'), ('b_total', 'b'), ('} 3', '}  3'),
       ('} 3', '} -3'), ('} 3', '} 3 4'), ('le="+Inf"} 2', 'le="+Inf"} 1'), ('1e-05', '0.00001e0'),
       ('a_seconds_count{x="1"} 2', 'a_seconds_count{x="1"} 3'), ('le="+Inf"', 'le="2.0"'),
       ('a_seconds seconds', 'a_seconds bytes'), ('# TYPE b', '# TYPE a_seconds'),
       ('\\\\\\n', '\\t'), ('# TYPE b counter', ''), ('x="1",le="+Inf"', 'le="+Inf"'),
       ('b_total{', 'b_total{x="1",'), ('# TYPE b counter', '# TYPE b Counter'),
       ('a_seconds_sum{x="1"} 0.5\n', ''), ('b_total', 'b_total{} 1\nb_total{} 1\nb_total'),
       ('le="1e-05"} 1', 'le="1e-05"} 3'), ('# HELP a_seconds', '#HELP a_seconds')]


def self_test():
    parse(GOOD.encode())
    for old, new in BAD:
        assert old in GOOD, old
        try:
            parse(GOOD.replace(old, new, 1).encode())
        except (Invalid, IndexError):
            continue
        raise SystemExit('accepted with %r for %r' % (new, old))


def main():
    if sys.argv[1:] == ['--self-test']:
        return self_test()
    if sys.argv[1:]:
        print(__doc__)
        return None
    try:
        print(json.dumps(parse(sys.stdin.buffer.read())))
    except (Invalid, UnicodeDecodeError) as error:
        print(error, file=sys.stderr)
        sys.exit(1)


if __name__ == '__main__':
    main()
