"""Weaves all mutants of a file into it, each behind a switch, so that one build serves them all.

cargo-mutants builds the crate anew for each mutant: half a minute for each of 1,800. It lists them here; what it would
write into the file stands in a branch of its own, which `crate::mutants::on(7)` chooses at run time:

    (if crate::mutants::on(7) { a != b } else { a == b })

`/*<7*/` and `/*7>*/` stand around what belongs to a mutant: an error of the compiler there means that it does not compile.
"""

import dataclasses

import tree_sitter
import tree_sitter_rust

PARSER = tree_sitter.Parser(tree_sitter.Language(tree_sitter_rust.language()))
OPERATIONS = ("binary_expression", "compound_assignment_expr")


@dataclasses.dataclass
class Mutant:
    """One change, as `cargo mutants --list --json` has it."""

    number: int
    file: str
    line: int
    genre: str
    name: str
    replacement: str
    start: tuple[int, int]
    end: tuple[int, int]
    function: tuple[int, int] | None

    @property
    def description(self) -> str:
        """`replace == with != in f`, without the place."""
        return self.name.split(": ", 1)[1]


def read(listed: list[dict]) -> list[Mutant]:
    """The mutants of cargo-mutants' list."""
    def place(at: dict) -> tuple[int, int]:
        return at["line"], at["column"]

    return [
        Mutant(number, one["file"], one["span"]["start"]["line"], one["genre"], one["name"], one["replacement"],
               place(one["span"]["start"]), place(one["span"]["end"]),
               place(one["function"]["span"]["start"]) if one.get("function") else None)
        for number, one in enumerate(listed, 1)
    ]


class Weaver:
    """One file with its mutants. Only one mutant is on at a time, so its branch repeats the text without the others."""

    def __init__(self, text: str, mutants: list[Mutant]):
        self.text = text.encode()
        self.lines = [0]
        for line in text.splitlines(keepends=True):
            self.lines.append(self.lines[-1] + len(line.encode()))
        self.rows = text.splitlines()
        self.root = PARSER.parse(self.text).root_node
        self.at: dict[tuple[int, int, str], list[Mutant]] = {}
        self.lost: list[Mutant] = []
        for mutant in mutants:
            node = self.node_of(mutant)
            if node is None:
                self.lost.append(mutant)
            else:
                self.at.setdefault((node.start_byte, node.end_byte, node.type), []).append(mutant)

    def offset(self, place: tuple[int, int]) -> int:
        """The byte of a line and column; columns count characters."""
        line, column = place
        return self.lines[line - 1] + len(self.rows[line - 1][: column - 1].encode())

    def up(self, node, kinds: tuple[str, ...]):
        """The innermost node of these kinds around a node."""
        while node is not None and node.type not in kinds:
            node = node.parent
        return node

    def node_of(self, mutant: Mutant):
        """The node that a mutant changes."""
        start, end = self.offset(mutant.start), self.offset(mutant.end)
        leaf = self.root.descendant_for_byte_range(start, max(start, end - 1))
        match mutant.genre:
            case "BinaryOperator":
                node = self.up(self.root.descendant_for_byte_range(start, end), OPERATIONS)
                return node if node and self.operator(node).start_byte == start else None
            case "UnaryOperator":
                node = self.up(self.root.descendant_for_byte_range(start, end), ("unary_expression",))
                return node if node and node.start_byte == start else None
            case "MatchArm":
                return self.up(leaf, ("match_arm",))
            case "MatchArmGuard":
                return self.up(leaf, ("match_pattern",))
            case "StructField":
                return self.up(leaf, ("struct_expression",))
            case "FnValue":
                node = self.up(leaf, ("function_item",))
                while node and node.child_by_field_name("body").start_byte >= start:
                    node = self.up(node.parent, ("function_item",))
                # All returns of an `impl Trait` have one type: the mutant's is another one.
                if node is None or "impl " in self.source(node.child_by_field_name("return_type") or node.children[0]):
                    return None
                return node.child_by_field_name("body")
        return None

    def operator(self, node):
        """The sign of an operation."""
        return node.child_by_field_name("operator") or node.children[1]

    def source(self, node) -> str:
        """The text of a node, unchanged."""
        return self.text[node.start_byte : node.end_byte].decode()

    def between(self, start: int, end: int) -> str:
        """A piece of the text, unchanged."""
        return self.text[start:end].decode()

    def woven(self) -> str:
        """The file with all of its mutants."""
        return self.between(0, self.root.start_byte) + self.render(self.root) + self.between(self.root.end_byte, len(self.text))

    def render(self, node) -> str:
        """A node with the mutants in it."""
        mutants = self.at.get((node.start_byte, node.end_byte, node.type), [])
        if mutants and node.type == "match_arm":
            return self.arm(node, mutants)
        if mutants and node.type == "match_pattern":
            return self.guard(node, mutants)
        plain, at = [], node.start_byte
        for child in node.children:
            plain += [self.between(at, child.start_byte), self.render(child)]
            at = child.end_byte
        text = "".join(plain) + self.between(at, node.end_byte)
        if not mutants:
            return text
        if node.type == "block":
            returns = "".join(f"/*<{one.number}*/ if crate::mutants::on({one.number}) {{ return {one.replacement}; }} /*{one.number}>*/"
                              for one in mutants)
            return "{" + returns + text[1:]
        branches = " else ".join(
            f"/*<{one.number}*/ if crate::mutants::on({one.number}) {{ {self.changed(node, one)} }} /*{one.number}>*/" for one in mutants)
        choice = f"{branches} else {{ {text} }}"
        return choice if node.type == "compound_assignment_expr" else f"({choice})"

    def changed(self, node, mutant: Mutant) -> str:
        """The node as a mutant has it."""
        if node.type == "unary_expression":
            return self.source(node.children[1])
        if node.type == "struct_expression":
            start, end = self.offset(mutant.start), self.offset(mutant.end)
            after = self.between(end, node.end_byte)
            rest = after.lstrip()
            return self.between(node.start_byte, start) + (rest[1:] if rest.startswith(",") else after)
        sign = self.operator(node)
        left, right = self.between(node.start_byte, sign.start_byte), self.between(sign.end_byte, node.end_byte)
        # `a as usize < b` would begin generic arguments.
        return f"{left if node.type == 'compound_assignment_expr' else f'({left})'} {mutant.replacement} {right}"

    def arm(self, node, mutants: list[Mutant]) -> str:
        """A match arm that a mutant deletes: its guard fails then. Another arm takes everything."""
        gone = " && ".join(f"/*<{one.number}*/ !crate::mutants::on({one.number}) /*{one.number}>*/" for one in mutants)
        pattern = node.child_by_field_name("pattern")
        condition = pattern.child_by_field_name("condition")
        if condition is None:
            head = f"{self.source(pattern)} if {gone}"
        else:
            own = self.at.get((pattern.start_byte, pattern.end_byte, pattern.type), [])
            head = f"{self.between(pattern.start_byte, condition.start_byte)}{gone} && ({self.condition(condition, own)})"
        rest, at = [], pattern.end_byte
        for child in node.children:
            if child.start_byte >= pattern.end_byte:
                rest += [self.between(at, child.start_byte), self.render(child)]
                at = child.end_byte
        return self.between(node.start_byte, pattern.start_byte) + head + "".join(rest)

    def guard(self, node, mutants: list[Mutant]) -> str:
        """A pattern whose guard a mutant decides."""
        condition = node.child_by_field_name("condition")
        return self.between(node.start_byte, condition.start_byte) + self.condition(condition, mutants)

    def condition(self, node, mutants: list[Mutant]) -> str:
        """A guard's condition with the mutants that decide it."""
        branches = "".join(
            f"/*<{one.number}*/ if crate::mutants::on({one.number}) {{ {one.replacement} }} /*{one.number}>*/ else " for one in mutants)
        return f"{branches}{{ {self.render(node)} }}" if mutants else self.render(node)
