// The stack machine of pickles. Opcodes that call (REDUCE, NEWOBJ) or change an object (BUILD) only write down with
// what; collections.OrderedDict() alone becomes a dict, which needs no call.
#include <fmt/format.h>

#include <algorithm>
#include <alphaform/architectures/checkpoint/pickle.hpp>
#include <alphaform/architectures/checkpoint/quote.hpp>
#include <alphaform/error.hpp>
#include <cstring>
#include <unordered_map>
#include <utility>

namespace alphaform {
namespace {

using kind = pickled::kind;
using place = std::uint32_t;

constexpr std::size_t most_bytes = std::size_t{64} << 20U;
constexpr std::size_t most_values = std::size_t{4} << 20U;
constexpr std::size_t longest_global = 1024;
constexpr place of_no_use = 0, empty_tuple = 1;  // shared by all, never changed

class machine final {
 public:
  machine(std::span<const std::byte> bytes, std::string_view source)
      : rest_(bytes), size_(bytes.size()), source_(source) {
    add({kind::other, 0, {}, {}});
    add({kind::tuple, 0, {}, {}});
  }

  pickle run() {
    for (;;) {
      at_ = size_ - rest_.size();
      opcode_ = number<std::uint8_t>();
      if (opcode_ == '.') break;
      if (!number_or_text() && !container() && !stack_or_memo() && !named_or_called()) {
        fail("which this reader does not know; torch.save writes protocols 2 to 5");
      }
    }
    result_.root = pop();
    return std::move(result_);
  }

 private:
  [[noreturn]] void fail(std::string_view what) const {
    throw user_error(fmt::format("cannot read {}: its byte {} is the opcode {:#04x}, {}", source_, at_, opcode_, what));
  }

  std::span<const std::byte> take(std::uint64_t count) {
    if (count > rest_.size()) {
      throw user_error(fmt::format("cannot read {}: it ends within the opcode at byte {}; it is truncated or damaged",
                                   source_, at_));
    }
    const auto taken = rest_.first(static_cast<std::size_t>(count));
    rest_ = rest_.subspan(taken.size());
    return taken;
  }

  template <class Number>
  Number number() {
    Number value;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }

  std::string text(std::uint64_t length) {
    const auto bytes = take(length);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

  std::string line() {
    const auto seen = rest_.first(std::min(rest_.size(), longest_global));
    const auto end = std::find(seen.begin(), seen.end(), std::byte{'\n'});
    if (end == seen.end()) fail("whose name does not end; it is truncated or damaged");
    std::string name = text(static_cast<std::uint64_t>(end - seen.begin()));
    take(1);
    return name;
  }

  place add(pickled value) {
    if (result_.values.size() >= most_values) {
      throw user_error(
          fmt::format("cannot read {}: it has more than {} values; save the state dict alone", source_, most_values));
    }
    result_.values.push_back(std::move(value));
    return static_cast<place>(result_.values.size() - 1);
  }

  bool push(place value) {
    stack_.push_back(value);
    return true;
  }
  bool push(pickled value) { return push(add(std::move(value))); }
  bool push_integer(std::int64_t value) { return push({kind::integer, value, {}, {}}); }
  bool push_text(std::uint64_t length) { return push({kind::text, 0, text(length), {}}); }
  bool skip_bytes(std::uint64_t length) {
    take(length);
    return push(of_no_use);
  }

  /// Takes the topmost values down to `first`, which must lie above the last mark.
  std::vector<place> cut(std::size_t count) {
    const std::size_t fence = marks_.empty() ? 0 : marks_.back();
    if (stack_.size() - fence < count) fail("which needs more values than there are; the pickle is damaged");
    const auto first = stack_.end() - static_cast<std::ptrdiff_t>(count);
    std::vector<place> values(first, stack_.end());
    stack_.erase(first, stack_.end());
    return values;
  }
  std::vector<place> cut_to_mark() {
    if (marks_.empty()) fail("which needs a mark and there is none; the pickle is damaged");
    std::vector<place> values = cut(stack_.size() - marks_.back());
    marks_.pop_back();
    return values;
  }
  place top() {
    const place value = pop();
    push(value);
    return value;
  }
  place pop() { return cut(1)[0]; }

  bool push_tuple(std::vector<place> items) {
    return items.empty() ? push(empty_tuple) : push({kind::tuple, 0, {}, std::move(items)});
  }

  /// Adds to the list or dict on top of the stack, or to what an object is given.
  bool extend(kind wanted, const std::vector<place>& items) {
    pickled& target = result_.values[top()];
    if (target.is != wanted && target.is != kind::object) fail("which adds to a value that takes no members");
    if (wanted == kind::dict && items.size() % 2 != 0) fail("which adds a key without a value; the pickle is damaged");
    target.items.insert(target.items.end(), items.begin(), items.end());
    return true;
  }

  /// Two's complement, little-endian, of any length.
  bool push_long(std::size_t length) {
    const auto bytes = take(length);
    if (length > 8) return push(of_no_use);
    std::uint64_t value = length > 0 && std::to_integer<unsigned>(bytes.back()) >= 128U ? ~std::uint64_t{0} : 0;
    for (std::size_t i = length; i-- > 0;) value = value << 8U | std::to_integer<std::uint64_t>(bytes[i]);
    return push_integer(static_cast<std::int64_t>(value));
  }

  bool number_or_text() {
    switch (opcode_) {
      case 'K':
        return push_integer(number<std::uint8_t>());  // BININT1
      case 'M':
        return push_integer(number<std::uint16_t>());  // BININT2
      case 'J':
        return push_integer(number<std::int32_t>());  // BININT
      case 0x8A:
        return push_long(number<std::uint8_t>());  // LONG1
      case 'X':
        return push_text(number<std::uint32_t>());  // BINUNICODE
      case 0x8C:
        return push_text(number<std::uint8_t>());  // SHORT_BINUNICODE
      case 0x8D:
        return push_text(number<std::uint64_t>());  // BINUNICODE8
      case 'N':
      case 0x88:
      case 0x89:
        return push(of_no_use);  // NONE, NEWTRUE, NEWFALSE
      case 'G':
        return skip_bytes(8);  // BINFLOAT
      case 'C':
        return skip_bytes(number<std::uint8_t>());  // SHORT_BINBYTES
      case 'B':
        return skip_bytes(number<std::uint32_t>());  // BINBYTES
      case 0x8E:
      case 0x96:
        return skip_bytes(number<std::uint64_t>());  // BINBYTES8, BYTEARRAY8
      default:
        return false;
    }
  }

  bool container() {
    switch (opcode_) {
      case ')':
        return push(empty_tuple);  // EMPTY_TUPLE
      case 't':
        return push_tuple(cut_to_mark());  // TUPLE
      case 0x85:
      case 0x86:
      case 0x87:
        return push_tuple(cut(opcode_ - 0x84U));  // TUPLE1, TUPLE2, TUPLE3
      case ']':
      case 0x8F:
        return push({kind::list, 0, {}, {}});  // EMPTY_LIST, EMPTY_SET
      case 0x91:
        return push({kind::list, 0, {}, cut_to_mark()});  // FROZENSET
      case 'a':
        return extend(kind::list, cut(1));  // APPEND
      case 'e':
      case 0x90:
        return extend(kind::list, cut_to_mark());  // APPENDS, ADDITEMS
      case '}':
        return push({kind::dict, 0, {}, {}});  // EMPTY_DICT
      case 's':
        return extend(kind::dict, cut(2));  // SETITEM
      case 'u':
        return extend(kind::dict, cut_to_mark());  // SETITEMS
      default:
        return false;
    }
  }

  bool memorise(std::size_t key) {
    memo_[key] = top();
    return true;
  }
  bool recall(std::size_t key) {
    const auto found = memo_.find(key);
    if (found == memo_.end()) fail("which recalls a value that was not kept; the pickle is damaged");
    return push(found->second);
  }

  bool stack_or_memo() {
    switch (opcode_) {
      case 0x80:
        return protocol(number<std::uint8_t>());  // PROTO
      case 0x95:
        return frame(number<std::uint64_t>());  // FRAME
      case '(':
        marks_.push_back(stack_.size());
        return true;  // MARK
      case '0':
        pop();
        return true;  // POP
      case '1':
        cut_to_mark();
        return true;  // POP_MARK
      case 'q':
        return memorise(number<std::uint8_t>());  // BINPUT
      case 'r':
        return memorise(number<std::uint32_t>());  // LONG_BINPUT
      case 0x94:
        return memorise(memo_.size());  // MEMOIZE
      case 'h':
        return recall(number<std::uint8_t>());  // BINGET
      case 'j':
        return recall(number<std::uint32_t>());  // LONG_BINGET
      default:
        return false;
    }
  }

  bool protocol(unsigned version) const {
    if (version > 5) fail(fmt::format("which says protocol {}, and 2 to 5 can be read", version));
    return true;
  }

  /// Frames group what follows, for readers that need it in pieces.
  bool frame(std::uint64_t length) {
    if (length > rest_.size()) take(length);
    return true;
  }

  /// The text on top of the stack.
  std::string pop_text() {
    const pickled& value = result_.values[pop()];
    if (value.is != kind::text || value.text.size() > longest_global)
      fail("which needs a short text; the pickle is damaged");
    return value.text;
  }
  bool push_global(const std::string& module, const std::string& name) {
    return push({kind::global, 0, module + "." + name, {}});
  }

  bool call(std::size_t arguments) {
    std::vector<place> items = cut(1 + arguments);
    const auto is = [&](std::size_t i) { return result_.values[items[i]].is; };
    if ((is(0) != kind::global && is(0) != kind::object) || is(1) != kind::tuple) {
      fail("which needs a function or class and its tuple of arguments; the pickle is damaged");
    }
    const bool ordered_dict = result_.values[items[0]].text == "collections.OrderedDict" && items[1] == empty_tuple;
    return ordered_dict ? push({kind::dict, 0, {}, {}}) : push({kind::object, 0, {}, std::move(items)});
  }

  bool build() {
    const place state = pop();
    pickled& target = result_.values[top()];
    if (target.is != kind::object && target.is != kind::dict) fail("which gives attributes to a value that has none");
    if (target.is == kind::object) target.items.push_back(state);  // an OrderedDict's attributes are not its members
    return true;
  }

  bool named_or_called() {
    switch (opcode_) {
      case 'c': {  // GLOBAL
        const std::string module = line();
        return push_global(module, line());
      }
      case 0x93: {  // STACK_GLOBAL
        const std::string name = pop_text();
        return push_global(pop_text(), name);
      }
      case 'Q':
        return push({kind::persistent, 0, {}, cut(1)});  // BINPERSID
      case 'R':
      case 0x81:
        return call(1);  // REDUCE, NEWOBJ
      case 0x92:
        return call(2);  // NEWOBJ_EX
      case 'b':
        return build();  // BUILD
      default:
        return false;
    }
  }

  std::span<const std::byte> rest_;
  std::size_t size_;
  std::string_view source_;
  std::size_t at_ = 0;  // where the opcode began
  unsigned opcode_ = 0;
  pickle result_;
  std::vector<place> stack_;
  std::vector<std::size_t> marks_;  // heights of the stack
  std::unordered_map<std::size_t, place> memo_;
};

}  // namespace

pickle parse_pickle(std::span<const std::byte> bytes, std::string_view source) {
  if (bytes.size() > most_bytes) {
    throw user_error(fmt::format("cannot read {}: it has {} bytes and at most {} are read; save the state dict alone",
                                 source, bytes.size(), most_bytes));
  }
  return machine(bytes, source).run();
}

}  // namespace alphaform
